import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compress, init } from '@bokuweb/zstd-wasm';
import type { SchemaElement } from 'hyparquet';
import { parquetWriteFile } from 'hyparquet-writer';

/** What a column holds: text, JSON, a number of 64 bits, a list, or a struct. */
export type Kind = 'text' | 'json' | 'integer' | 'unsigned' | 'double' | [Kind] | { [name: string]: Kind };

export interface WriteOptions {
  codec?: 'SNAPPY' | 'ZSTD' | 'UNCOMPRESSED';
  rowGroupSize?: number;
  /** About so many bytes a page. */
  pageSize?: number;
}

await init();
const compressors = { ZSTD: (bytes: Uint8Array) => compress(bytes) };

export const folder = mkdtempSync(join(tmpdir(), 'sod-data-'));

/** Writes rows as the usual writers do: every column optional, lists in three levels. */
export function writeParquet(
  name: string,
  columns: Record<string, Kind>,
  rows: Record<string, unknown>[],
  { codec = 'SNAPPY', rowGroupSize, pageSize }: WriteOptions = {},
): string {
  const filename = join(folder, name);
  const names = Object.keys(columns);
  parquetWriteFile({
    filename,
    columnData: names.map(column => ({ name: column, data: rows.map(row => row[column] ?? null) })),
    schema: [
      { name: 'schema', num_children: names.length },
      ...names.flatMap(column => elements(column, columns[column])),
    ],
    codec,
    compressors,
    rowGroupSize,
    pageSize,
  });
  return filename;
}

function elements(name: string, kind: Kind): SchemaElement[] {
  const repetition_type = 'OPTIONAL';
  if (kind === 'text') return [{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type }];
  if (kind === 'json') return [{ name, type: 'BYTE_ARRAY', converted_type: 'JSON', repetition_type }];
  if (kind === 'integer') return [{ name, type: 'INT64', repetition_type }];
  if (kind === 'unsigned') return [{ name, type: 'INT64', converted_type: 'UINT_64', repetition_type }];
  if (kind === 'double') return [{ name, type: 'DOUBLE', repetition_type }];
  if (Array.isArray(kind)) {
    return [
      { name, converted_type: 'LIST', repetition_type, num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      ...elements('element', kind[0]),
    ];
  }
  const children = Object.entries(kind);
  return [
    { name, repetition_type, num_children: children.length },
    ...children.flatMap(([child, childKind]) => elements(child, childKind)),
  ];
}
