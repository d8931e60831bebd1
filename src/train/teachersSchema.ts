import { z } from 'zod';
import { UserError } from '../errors.ts';
import { nearestName, section } from '../schema.ts';
import { isServerUrl, serverUrlSchema } from '../serverUrl.ts';

/** Whom a recipe's policy learns from. */

/** A folder, hf: and its name on the Hub, or the address of a server that has it, such as http://127.0.0.1:8000. */
export const teacherSchema = z.string("must be the teacher's checkpoint folder, or the address of a server").min(1);

const oneOfTwo = (a: string, b: string) => (value: object, context: z.RefinementCtx) => {
  if (Object.keys(value).filter(key => key === a || key === b).length !== 1) {
    context.addIssue({ code: 'custom', message: `give either ${a} or ${b}` });
  }
};

const entry = section({
  /** Which tasks it is for: those of one of several datasets, or those whose id is like this, where * is anything. */
  match: section({ source: z.string().min(1).optional(), task: z.string().min(1).optional() }).superRefine(
    oneOfTwo('source', 'task'),
  ),
  checkpoint: z
    .string()
    .min(1)
    .refine(place => !isServerUrl(place), 'is an address: give it as url')
    .optional(),
  url: serverUrlSchema(8000, 'SOD_API_KEY').optional(),
}).superRefine(oneOfTwo('checkpoint', 'url'));

export type TeacherEntry = z.output<typeof entry>;

/** What a teacher of several is called: by its tasks. */
export function nameOf({ match }: TeacherEntry): string {
  return (match.source ?? match.task)!;
}

/** Several, each for tasks of its own: of those that match a task, the first. */
export const teachersSchema = z
  .array(entry)
  .min(1)
  .superRefine((entries, context) => {
    const names = entries.map(nameOf);
    const twice = names.findIndex((name, i) => names.indexOf(name) < i);
    if (twice >= 0) {
      context.addIssue({ code: 'custom', path: [twice, 'match'], message: `two teachers are for ${names[twice]}` });
    }
  });

/**
 * The entries with datasets called as metrics call them, whether they were given by that name or as their source.
 * @param datasets of the recipe
 * @param source of the recipe, for errors
 * @throws UserError where they name others, or none is for one of them
 */
export function withDatasetNames(
  entries: readonly TeacherEntry[],
  datasets: readonly { name: string; source: string }[],
  source: string,
): TeacherEntry[] {
  const refused = (message: string) => new UserError(`${source}: teachers${message}`);
  const named = entries.map((entry, i): TeacherEntry => {
    const { source: wanted } = entry.match;
    if (wanted === undefined) return entry;
    const found = datasets.find(({ name }) => name === wanted) ?? datasets.find(dataset => dataset.source === wanted);
    if (found) return { ...entry, match: { source: found.name } };
    const where = `.${i}.match.source: `;
    if (datasets.length === 0) throw refused(`${where}a world has no datasets; match its tasks by their ids`);
    const names = datasets.map(({ name }) => name);
    const nearest = nearestName(wanted, names);
    const meant = nearest ? `, did you mean '${nearest}'?` : '.';
    throw refused(`${where}no dataset of the recipe is '${wanted}'${meant} They are ${names.join(', ')}`);
  });
  const untaught = datasets.find(({ name }) =>
    named.every(({ match }) => match.task === undefined && match.source !== name),
  );
  if (untaught) throw refused(`: none is for the tasks of ${untaught.name}: ${remedy}`);
  return named;
}

/** What to do about a task that no teacher is for. */
export const remedy = "add one that is, or one for all others with match: { task: '*' } at the end";
