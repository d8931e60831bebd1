/** The other models that a run's policy learns from, each for tasks of its own. */
import { datasetNames } from '../data/mixture.ts';
import type { Task } from '../data/task.ts';
import { UserError } from '../errors.ts';
import type { Teacher } from '../methods/method.ts';
import { isServerUrl } from '../serverUrl.ts';
import { datasetsOf, type OnPolicyRecipe, type Recipe } from './recipe.ts';
import { nameOf, remedy, type TeacherEntry } from './teachersSchema.ts';

/** One of them: a folder, a name on the Hub or the address of a server. */
export interface RecipeTeacher {
  place: string;
  /** By its tasks, where there are several. */
  name?: string;
}

/** As the recipe names them, in its order; none where it names none. */
export function teachersOf(recipe: Partial<Recipe>): RecipeTeacher[] {
  const { teacher, teachers = [] } = recipe as Partial<OnPolicyRecipe>;
  if (teacher !== undefined) return [{ place: teacher }];
  return teachers.map(entry => ({ place: (entry.checkpoint ?? entry.url)!, name: nameOf(entry) }));
}

/** The recipe with its teachers in other places. */
export function withTeachersAt<R extends Recipe>(recipe: R, places: readonly string[]): R {
  if (recipe.method === 'sft' || places.length === 0) return recipe;
  if (recipe.teacher !== undefined) return { ...recipe, teacher: places[0] };
  const moved = (entry: TeacherEntry, i: number) => (entry.url ? entry : { ...entry, checkpoint: places[i] });
  return { ...recipe, teachers: recipe.teachers?.map(moved) };
}

/**
 * The folders of the models that score for a method of this kind, but not on servers, each once; undefined is the policy as it was
 * at first.
 */
export function scorersHere(recipe: Recipe, kind: Teacher | undefined): (string | undefined)[] {
  if (!kind) return [];
  if (kind !== 'model') return [undefined];
  return [...new Set(teachersOf(recipe).map(({ place }) => place))].filter(place => !isServerUrl(place));
}

type Taught = Pick<Task, 'id' | 'source'>;

/** Which of a recipe's teachers a task is for, the first that matches it; undefined where none does. */
export function teacherChoice(recipe: Recipe): (task: Taught) => number | undefined {
  const entries = recipe.method === 'sft' ? undefined : recipe.teachers;
  if (!entries) return () => 0;
  // Tasks of a single dataset do not say which it is.
  const [only] = datasetNames(datasetsOf(recipe));
  const tests = entries.map(matcher);
  return ({ id, source = only }) => {
    const found = tests.findIndex(matches => matches(id, source));
    return found < 0 ? undefined : found;
  };
}

/** The same for tasks of a run, each of which must have one. @returns what throws a UserError where one has none */
export function requiredTeacher(recipe: Recipe): (task: Taught) => number {
  const choice = teacherChoice(recipe);
  return task => {
    const found = choice(task);
    if (found !== undefined) return found;
    throw new UserError(`teachers: none is for task ${task.id}${task.source ? ` of ${task.source}` : ''}: ${remedy}`);
  };
}

function matcher({ match: { source, task } }: TeacherEntry): (id: string, of?: string) => boolean {
  if (task === undefined) return (_, of) => of === source;
  const pattern = new RegExp(`^${task.split('*').map(escaped).join('.*')}$`, 's');
  return id => pattern.test(id);
}

const escaped = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
