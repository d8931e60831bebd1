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
