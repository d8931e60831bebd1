import type { z } from 'zod';
import { UserError } from '../../errors.ts';
import { firstIssue } from '../../schema.ts';
import type { LeftOut } from '../leftOut.ts';
import { openRows } from '../rows.ts';

/** How the columns of a file are to be read: which there must be, and what a row of them is. */
export interface Layout<T> {
  name: string;
  required: string[];
  optional: string[];
  row: z.ZodType<T>;
}

/**
 * Reads the rows of a file by the first of `layouts` whose columns it has; those that cannot be used go to `leftOut`.
 * @throws UserError that names the file with the columns that are missing and the layouts that would do.
 */
export async function* readLayout<T>(path: string, layouts: readonly Layout<T>[], leftOut: LeftOut): AsyncGenerator<T> {
  const file = await openRows(path);
  const layout = layouts.find(({ required }) => required.every(column => file.columns.includes(column)));
  if (!layout) throw new UserError(`${path}: ${noLayout(file.columns, layouts)}`);
  const columns = [...layout.required, ...layout.optional].filter(column => file.columns.includes(column));
  for await (const placed of file.rows(columns)) {
    const result = 'row' in placed ? layout.row.safeParse(placed.row) : undefined;
    if (!result?.success) leftOut.add(placed.at, 'wrong' in placed ? placed.wrong : firstIssue(result!.error!));
    else {
      leftOut.used++;
      yield result.data;
    }
  }
}

/** The layout that comes nearest, and what it lacks; then all that there are. */
function noLayout(columns: string[], layouts: readonly Layout<unknown>[]): string {
  const lacks = ({ required }: Layout<unknown>) => required.filter(column => !columns.includes(column));
  const nearest = layouts.reduce((a, b) => (share(lacks(b), b) < share(lacks(a), a) ? b : a));
  const wanted = lacks(nearest)
    .map(column => `'${column}'`)
    .join(' and ');
  return (
    `column ${wanted} is missing (for the layout ${nearest.name}); the file has ${columns.join(', ')}. ` +
    `Layouts: ${layouts.map(({ name, required }) => `${name} (${required.join(', ')})`).join('; ')}`
  );
}

const share = (lacking: string[], { required }: Layout<unknown>) => lacking.length / required.length;
