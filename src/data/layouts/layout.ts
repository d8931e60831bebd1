import type { z } from 'zod';
import { UserError } from '../../errors.ts';
import { firstIssue } from '../../schema.ts';
import { openRows } from '../rows.ts';

/** How the columns of a file are to be read: which there must be, and what a row of them is. */
export interface Layout<T> {
  name: string;
  required: string[];
  optional: string[];
  row: z.ZodType<T>;
}

/**
 * Reads the rows of a file by the first of `layouts` whose columns it has.
 * @throws UserError that names the file with the columns that are missing and the layouts that would do, or the row and what
 *   is wrong with it.
 */
export async function* readLayout<T>(path: string, layouts: readonly Layout<T>[]): AsyncGenerator<T> {
  const file = await openRows(path);
  const layout = layouts.find(({ required }) => required.every(column => file.columns.includes(column)));
  if (!layout) throw new UserError(`${path}: ${noLayout(file.columns, layouts)}`);
  const columns = [...layout.required, ...layout.optional].filter(column => file.columns.includes(column));
  for await (const { row, at } of file.rows(columns)) {
    const result = layout.row.safeParse(row);
    if (!result.success) throw new UserError(`${at}: ${firstIssue(result.error)}`);
    yield result.data;
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
