import type { AsyncBuffer, ColumnMetaData, OffsetIndex, SchemaTree } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { decompressPage } from 'hyparquet/src/datapage.js';
import { readRleBitPackedHybrid } from 'hyparquet/src/encoding.js';
import { getMaxRepetitionLevel } from 'hyparquet/src/schema.js';
import { compressors } from 'hyparquet-compressors';

export type PageLocation = OffsetIndex['page_locations'][number];
type PageHeader = ReturnType<typeof parquetHeader>;

/** Bytes in which a page's header is looked for at first; statistics make some longer. */
const HEADER_BYTES = 2 ** 12;

/**
 * Where the pages of a column chunk are, and with which of its rows each begins, found by walking through them: most
 * writers leave no index. Pages in which no row begins are part of the one before.
 */
export async function walkPages(file: AsyncBuffer, chunk: ColumnMetaData, path: SchemaTree[]): Promise<PageLocation[]> {
  const repetition = getMaxRepetitionLevel(path);
  const start = Number(chunk.dictionary_page_offset || chunk.data_page_offset);
  const end = start + Number(chunk.total_compressed_size);
  const pages: PageLocation[] = [];
  let rows = 0;
  for (let offset = start; offset < end; ) {
    const [header, bytes] = await readHeader(file, offset, end);
    const next = offset + bytes + header.compressed_page_size;
    const levels = await rowsOf(file, offset + bytes, header, chunk, repetition);
    if (levels) {
      if (levels.beginsRow) {
        const size = next - offset;
        pages.push({ offset: BigInt(offset), compressed_page_size: size, first_row_index: BigInt(rows) });
      } else {
        pages[pages.length - 1].compressed_page_size += next - offset;
      }
      rows += levels.rows;
    }
    offset = next;
  }
  return pages;
}

async function readHeader(file: AsyncBuffer, offset: number, end: number): Promise<[PageHeader, bytes: number]> {
  for (let length = HEADER_BYTES; ; length *= 4) {
    const stop = Math.min(end, offset + length);
    const reader = { view: new DataView(await file.slice(offset, stop)), offset: 0 };
    try {
      return [parquetHeader(reader), reader.offset];
    } catch (error) {
      if (stop === end) throw error;
    }
  }
}

/** How many rows begin in a page, and whether one does at its start; undefined for a dictionary. */
async function rowsOf(
  file: AsyncBuffer,
  start: number,
  { data_page_header, data_page_header_v2, compressed_page_size, uncompressed_page_size }: PageHeader,
  { codec }: ColumnMetaData,
  repetition: number,
): Promise<{ rows: number; beginsRow: boolean } | undefined> {
  if (data_page_header_v2) return { rows: data_page_header_v2.num_rows, beginsRow: true };
  if (!data_page_header) return undefined;
  const { num_values } = data_page_header;
  if (repetition === 0) return { rows: num_values, beginsRow: true };
  const compressed = new Uint8Array(await file.slice(start, start + compressed_page_size));
  const page = decompressPage(compressed, uncompressed_page_size, codec, compressors);
  const reader = { view: new DataView(page.buffer, page.byteOffset, page.byteLength), offset: 0 };
  const levels = new Array<number>(num_values);
  readRleBitPackedHybrid(reader, Math.ceil(Math.log2(repetition + 1)), levels);
  return { rows: levels.filter(level => level === 0).length, beginsRow: levels[0] === 0 };
}
