import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { UserError } from '../errors.ts';
import { isObject, parseJson } from '../json.ts';
import { explained } from '../systemErrors.ts';
import type { PlacedRow, Row, RowFile } from './rows.ts';

/**
 * The rows of a file with one JSON object a line.
 * @throws UserError that names the line which is none.
 */
export async function readJsonLines(path: string): Promise<RowFile> {
  for await (const { row } of lines(path)) return { columns: Object.keys(row), rows: () => lines(path) };
  throw new UserError(`${path}: the file has no rows`);
}

async function* lines(path: string): AsyncGenerator<PlacedRow> {
  const stream = createReadStream(path, 'utf8');
  let number = 0;
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      number++;
      // A byte order mark is no part of the data.
      const text = number === 1 ? line.replace(/^\uFEFF/, '') : line;
      if (text.trim() !== '') yield { row: parseRow(text, `${path}, line ${number}`), at: `${path}, line ${number}` };
    }
  } catch (error) {
    if (error instanceof RangeError)
      throw new UserError(`${path}, line ${number + 1}: the line is too long to be read`);
    throw explained(error, path);
  } finally {
    stream.destroy();
  }
}

function parseRow(text: string, at: string): Row {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    throw new UserError(`${at}: not valid JSON: ${(error as Error).message.split('\n')[0].slice(0, 200)}`);
  }
  if (!isObject(value)) throw new UserError(`${at}: must be an object with the columns as its keys`);
  return value;
}
