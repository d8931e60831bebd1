import { type FileHandle, open } from 'node:fs/promises';
import {
  type AsyncBuffer,
  type ColumnMetaData,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type RowGroup,
} from 'hyparquet';
import { getSchemaPath } from 'hyparquet/src/schema.js';
import { compressors } from 'hyparquet-compressors';
import { UserError } from '../errors.ts';
import { mapObject, parseJson } from '../json.ts';
import { explained } from '../systemErrors.ts';
import { withNumbers } from './parquetNumbers.ts';
import { type PageLocation, walkPages } from './parquetPages.ts';
import type { PlacedRow, Row, RowFile } from './rowFile.ts';

/** About as many bytes, uncompressed, are decoded at a time. */
const SLICE_BYTES = 4 * 2 ** 20;

/**
 * The rows of a Parquet file, nested columns as objects and arrays. Some pages are in memory at a time, however large file
 * and row groups are.
 * @throws UserError if the file is damaged or compressed in a way that cannot be read.
 */
export async function readParquet(path: string): Promise<RowFile> {
  const { metadata, columns } = await withFile(path, contents);
  if (metadata.num_rows === 0n) throw new UserError(`${path}: the file has no rows`);
  return { columns, rows: wanted => rows(path, metadata, [...wanted]) };
}

async function contents(file: AsyncBuffer): Promise<{ metadata: FileMetaData; columns: string[] }> {
  const metadata = await parquetMetadataAsync(file);
  const rows = metadata.row_groups.reduce((sum, group) => sum + group.num_rows, 0n);
  if (rows !== metadata.num_rows) throw new Error(`it has ${rows} rows of ${metadata.num_rows}`);
  return { metadata, columns: parquetSchema(metadata).children.map(({ element }) => element.name) };
}

async function* rows(path: string, metadata: FileMetaData, columns: string[]): AsyncGenerator<PlacedRow> {
  const schemas = new Map(parquetSchema(metadata).children.map(column => [column.element.name, column]));
  let start = 0;
  for (const [g, group] of metadata.row_groups.entries()) {
    const rows = Number(group.num_rows);
    const { pages, ranges } = await withFile(path, async file => {
      const pages = await pagesOf(file, metadata, group, columns);
      return { pages, ranges: slices(group, pages, columns) };
    });
    for (const [from, to] of ranges) {
      const read = (file: AsyncBuffer) => readSlice(file, metadata, columns, [start + from, start + to], g, pages);
      for (const [i, values] of (await withFile(path, read)).entries()) {
        const row = mapObject(values, (name, value) => [name, withNumbers(value, schemas.get(name)!)]);
        yield { row, at: `${path}, row ${start + from + i + 1}` };
      }
    }
    start += rows;
  }
}

/** The pages of each column chunk, by the column's path. */
type Pages = Record<string, PageLocation[]>;

async function pagesOf(file: AsyncBuffer, metadata: FileMetaData, group: RowGroup, columns: string[]): Promise<Pages> {
  const pages: Pages = {};
  for (const chunk of chunksOf(group, columns)) {
    const { path_in_schema: path } = chunk;
    pages[path.join('.')] = await walkPages(file, chunk, getSchemaPath(metadata.schema, path));
  }
  return pages;
}

function chunksOf(group: RowGroup, columns: string[]): ColumnMetaData[] {
  const chunks = group.columns.flatMap(({ meta_data }) => (meta_data ? [meta_data] : []));
  return chunks.filter(({ path_in_schema }) => columns.includes(path_in_schema[0]));
}

/**
 * Ranges of a group's rows that are decoded at a time. They begin where pages of the largest column do: a page can only be
 * decoded as a whole, and some writers' hold a thousand rows of any size.
 */
function slices(group: RowGroup, pages: Pages, columns: string[]): [start: number, end: number][] {
  const rows = Number(group.num_rows);
  const chunks = chunksOf(group, columns).map(chunk => ({ chunk, bytes: Number(chunk.total_uncompressed_size) }));
  const largest = chunks.reduce((a, b) => (b.bytes > a.bytes ? b : a));
  const bytesPerRow = chunks.reduce((sum, { bytes }) => sum + bytes, 0) / rows;
  const starts = pages[largest.chunk.path_in_schema.join('.')].map(page => Number(page.first_row_index));
  const ranges: [number, number][] = [];
  let from = 0;
  for (const end of [...starts.slice(1), rows]) {
    if (end < rows && (end - from) * bytesPerRow < SLICE_BYTES) continue;
    ranges.push([from, end]);
    from = end;
  }
  return ranges;
}

function readSlice(
  file: AsyncBuffer,
  metadata: FileMetaData,
  columns: string[],
  [rowStart, rowEnd]: [number, number],
  group: number,
  pages: Pages,
): Promise<Row[]> {
  const parsers = {
    jsonFromBytes: (bytes: Uint8Array | undefined) => bytes && parseJson(new TextDecoder().decode(bytes)),
  };
  const options = { file, metadata, columns, rowStart, rowEnd, compressors, parsers };
  // Where pages are is no public option, but what the library itself passes on when it has looked at their indexes.
  const pageLocationsByGroup = metadata.row_groups.map((_, g) => (g === group ? pages : undefined));
  return parquetReadObjects({ ...options, ...{ pageLocationsByGroup } });
}

async function withFile<T>(path: string, read: (file: AsyncBuffer) => Promise<T>): Promise<T> {
  const handle = await open(path).catch(error => {
    throw explained(error, path);
  });
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
