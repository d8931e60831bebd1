/**
 * What one workgroup computes of a product: so many rows and columns of the result, by so many threads across and down. A thread has
 * columns by fours.
 */
export interface Tile {
  rows: number;
  columns: number;
  threads: [across: number, down: number];
}

/** Products are told apart by their rows: those of a token of a few sequences, of a batch of sequences, of whole sequences. */
export type Rows = 'few' | 'some' | 'many';
export type Tiles = Record<Rows, Tile>;

const tile = (rows: number, columns: number, across: number, down: number): Tile => ({
  rows,
  columns,
  threads: [across, down],
});

/** From which a GPU's fastest are found. None has more threads or shared memory than every GPU takes; the first are for those unknown. */
export const tileCandidates: Record<Rows, readonly [Tile, ...Tile[]]> = {
  few: [tile(4, 64, 16, 4), tile(4, 32, 8, 4), tile(4, 128, 32, 4)],
  some: [tile(16, 64, 16, 16), tile(16, 16, 4, 16), tile(16, 32, 8, 16), tile(16, 64, 16, 4)],
  many: [tile(64, 64, 16, 16), tile(32, 32, 8, 8), tile(64, 64, 8, 8), tile(128, 128, 16, 16)],
};

export const defaultTiles: Tiles = {
  few: tileCandidates.few[0],
  some: tileCandidates.some[0],
  many: tileCandidates.many[0],
};

/** How tall a product's tile is to be. */
export function rowsOf(rows: number): Rows {
  if (rows <= tileCandidates.few[0].rows) return 'few';
  return rows <= tileCandidates.some[0].rows ? 'some' : 'many';
}

/** As it is told and kept. */
export function tileName({ rows, columns, threads }: Tile): string {
  return `${rows}×${columns} by ${threads.join('×')}`;
}
