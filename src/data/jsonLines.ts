import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { UserError } from '../errors.ts';
import { isObject, parseJson } from '../json.ts';
import { explained } from '../systemErrors.ts';
import type { PlacedRow, Row, RowFile } from './rowFile.ts';

/**
 * The rows of a file with one JSON object a line.
 * @throws UserError if no line is one.
 */
export async function readJsonLines(path: string): Promise<RowFile> {
  let broken: { at: string; wrong: string } | undefined;
  for await (const line of lines(path)) {
    if ('row' in line) return { columns: Object.keys(line.row), rows: () => lines(path) };
    broken ??= line;
  }
  throw new UserError(broken ? `${broken.at}: ${broken.wrong}` : `${path}: the file has no rows`);
}

async function* lines(path: string): AsyncGenerator<PlacedRow> {
  const stream = createReadStream(path, 'utf8');
  let number = 0;
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
      number++;
      // A byte order mark is no part of the data.
      const text = number === 1 ? line.replace(/^\uFEFF/, '') : line;
      if (text.trim() !== '') yield { at: `${path}, line ${number}`, ...parseRow(text) };
    }
  } catch (error) {
    if (error instanceof RangeError)
      throw new UserError(`${path}, line ${number + 1}: the line is too long to be read`);
    throw explained(error, path);
  } finally {
    stream.destroy();
  }
}

function parseRow(text: string): { row: Row } | { wrong: string } {
  try {
    const value = parseJson(text);
    return isObject(value) ? { row: value } : { wrong: 'must be an object with the columns as its keys' };
  } catch (error) {
    return { wrong: `not valid JSON: ${(error as Error).message.split('\n')[0].slice(0, 200)}` };
  }
}
