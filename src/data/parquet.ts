import { type FileHandle, open } from 'node:fs/promises';
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { UserError } from '../errors.ts';
import type { PlacedRow, RowFile } from './rows.ts';

/** About as many bytes, uncompressed, are decoded at a time. */
const SLICE_BYTES = 4 * 2 ** 20;

/**
 * The rows of a Parquet file, nested columns as objects and arrays. A slice of rows is decoded at a time; what a column
 * chunk without a page index holds compressed is in memory as long as one of its rows is asked for.
 * @throws UserError if the file is damaged or compressed in a way that cannot be read.
 */
export async function readParquet(path: string): Promise<RowFile> {
  const metadata = await withFile(path, file => parquetMetadataAsync(file));
  const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
  if (metadata.num_rows === 0n) throw new UserError(`${path}: the file has no rows`);
  return { columns, rows: wanted => rows(path, metadata, [...wanted]) };
}

async function* rows(path: string, metadata: FileMetaData, columns: string[]): AsyncGenerator<PlacedRow> {
  for (const [rowStart, rowEnd] of slices(metadata, columns)) {
    const slice = await withFile(path, file =>
      parquetReadObjects({ file, metadata, columns, rowStart, rowEnd, compressors, useOffsetIndex: true }),
    );
    for (const [i, row] of slice.entries()) yield { row, at: `${path}, row ${rowStart + i + 1}` };
  }
}

/** Ranges of rows that lie in one row group and are about `SLICE_BYTES` each. */
function slices(metadata: FileMetaData, columns: string[]): [start: number, end: number][] {
  const ranges: [number, number][] = [];
  let groupStart = 0;
  for (const group of metadata.row_groups) {
    const chunks = group.columns.flatMap(({ meta_data }) => (meta_data ? [meta_data] : []));
    const read = chunks.filter(({ path_in_schema }) => columns.includes(path_in_schema[0]));
    const bytes = read.reduce((sum, chunk) => sum + Number(chunk.total_uncompressed_size), 0);
    const groupEnd = groupStart + Number(group.num_rows);
    const rowsPerSlice = Math.max(1, Math.floor((groupEnd - groupStart) / Math.ceil(bytes / SLICE_BYTES || 1)));
    for (let start = groupStart; start < groupEnd; start += rowsPerSlice) {
      ranges.push([start, Math.min(groupEnd, start + rowsPerSlice)]);
    }
    groupStart = groupEnd;
  }
  return ranges;
}

async function withFile<T>(path: string, read: (file: AsyncBuffer) => Promise<T>): Promise<T> {
  const handle = await open(path);
  try {
    return await read(await bufferOf(handle));
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${path}: the Parquet file is damaged or not supported: ${(error as Error).message}`);
  } finally {
    await handle.close();
  }
}

/** The file as hyparquet reads one; its own reader keeps each range twice while it reads. */
async function bufferOf(handle: FileHandle): Promise<AsyncBuffer> {
  const { size } = await handle.stat();
  return {
    byteLength: size,
    async slice(start, end = size) {
      if (start < 0 || end > size) throw new Error(`bytes ${start} to ${end} are wanted, it has ${size}`);
      const bytes = new Uint8Array(end - start);
      for (let read = 0; read < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, read, bytes.length - read, start + read);
        if (bytesRead === 0) throw new Error('it ends early');
        read += bytesRead;
      }
      return bytes.buffer;
    },
  };
}
