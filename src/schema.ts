import { distance } from 'fastest-levenshtein';
import { z } from 'zod';

/**
 * One section of a recipe: an object that refuses keys it does not know and names the one that was probably meant.
 */
export function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: issue => {
      if (issue.code === 'unrecognized_keys') return `unknown key ${unknownKey(String(issue.keys[0]), known)}`;
      if (issue.input === undefined) return `is required, with the keys ${known.join(', ')}`;
      return `must be a section with the keys ${known.join(', ')}`;
    },
  });
}

function unknownKey(key: string, known: string[]): string {
  const nearest = nearestName(key, known);
  return `'${key}'${nearest ? `, did you mean '${nearest}'?` : '.'} Allowed: ${known.join(', ')}`;
}

/** The known name that is fewest edits away, if that is few enough to be a slip. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map(candidate => ({ candidate, edits: distance(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  return ranked.length && ranked[0].edits <= Math.max(2, name.length / 3) ? ranked[0].candidate : undefined;
}

/** What is wrong, as one line: where, what, what is allowed. A misspelt key goes before the key that it leaves missing. */
export function firstIssue({ issues }: z.ZodError): string {
  const { path, message } = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  const where = path.join('.');
  const what = message.replace(/^Invalid (input|option): /, '').replace(/, received undefined$/, ', but it is missing');
  return where ? `${where}: ${what}` : what;
}
