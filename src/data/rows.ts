import { closeSync, openSync, readSync } from 'node:fs';
import { refuseOtherThanFile } from '../documents.ts';
import { UserError } from '../errors.ts';
import { onPath } from '../systemErrors.ts';
import { readJsonLines } from './jsonLines.ts';
import { readParquet } from './parquet.ts';

/** One row of a file of data, by column. */
export type Row = Record<string, unknown>;

/** A row, or what is wrong with it, and where it stands, for messages: `train.parquet, row 12`. */
export type PlacedRow = { at: string } & ({ row: Row } | { wrong: string });

/** The rows of a file, read as they are asked for. */
export interface RowFile {
  /** Columns of the file. Of JSON lines: those of the first row that is one. */
  columns: string[];
  /** The rows in order, of which only `columns` may be read. @throws UserError if the file is damaged. */
  rows(columns: readonly string[]): AsyncIterable<PlacedRow>;
}

/**
 * Opens a file of rows, Parquet or JSON lines, by what it begins with.
 * @throws UserError if it is neither, or damaged.
 */
export async function openRows(path: string): Promise<RowFile> {
  const start = firstBytes(path);
  if (start.toString('latin1') === 'PAR1') return readParquet(path);
  if (start.length === 0) throw new UserError(`${path}: the file is empty`);
  if (start[0] === 0x1f && start[1] === 0x8b) throw new UserError(`${path}: is compressed; unpack it first (gunzip)`);
  if (start[0] === 0x5b)
    throw new UserError(`${path}: is one JSON array; data is read as JSON lines, one object a line, or Parquet`);
  return readJsonLines(path);
}

function firstBytes(path: string): Buffer {
  refuseOtherThanFile(path);
  return onPath(path, () => {
    const fd = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(4);
      return bytes.subarray(0, readSync(fd, bytes));
    } finally {
      closeSync(fd);
    }
  });
}
