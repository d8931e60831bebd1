import { closeSync, openSync, readSync } from 'node:fs';
import { refuseOtherThanFile } from '../documents.ts';
import { UserError } from '../errors.ts';
import { onPath } from '../systemErrors.ts';
import { readJsonLines } from './jsonLines.ts';
import { readParquet } from './parquet.ts';
import type { RowFile } from './rowFile.ts';

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
