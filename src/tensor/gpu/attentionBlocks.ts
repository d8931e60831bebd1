/** So many rows from `first` on. */
interface Run {
  first: number;
  count: number;
}

/** Blocks of neighbouring rows, and for each the runs of rows that its own rows see, or are seen by. */
export interface Blocks {
  count: number;
  /** For each block its first row, its rows, where its runs begin in this table, how many there are; then each run's first row and rows. */
  table: Int32Array;
}

/**
 * Blocks of at most `size` rows of one segment, and the rows that they see: those of their ancestors, and of their own segment up to
 * each itself.
 * @param segments [count, 3]: first row, rows, index of the parent or -1
 */
export function queryBlocks(segments: Int32Array, size: number): Blocks {
  const chains: Run[][] = [];
  const seen = segmentsOf(segments).map(({ first, count, parent }, s) => {
    chains[s] = merged([...(chains[parent] ?? []), { first, count }]);
    return chains[s];
  });
  return cut(segments, size, seen);
}

/** The same, and the rows that see them: those of their own segment from each itself on, and of all its descendants. */
export function keyBlocks(segments: Int32Array, size: number): Blocks {
  const all = segmentsOf(segments);
  const seeing: Run[][] = all.map(({ first, count }) => [{ first, count }]);
  // Parents come first.
  for (let s = all.length - 1; s >= 0; s--) seeing[all[s].parent]?.push(...seeing[s]);
  return cut(
    segments,
    size,
    seeing.map(runs => merged(runs.sort((a, b) => a.first - b.first))),
  );
}

function segmentsOf(table: Int32Array): (Run & { parent: number })[] {
  return Array.from({ length: table.length / 3 }, (_, s) => ({
    first: table[s * 3],
    count: table[s * 3 + 1],
    parent: table[s * 3 + 2],
  }));
}

function merged(runs: readonly Run[]): Run[] {
  const merged: Run[] = [];
  for (const { first, count } of runs) {
    const before = merged.at(-1);
    if (before && before.first + before.count === first) before.count += count;
    else merged.push({ first, count });
  }
  return merged;
}

function cut(segments: Int32Array, size: number, runsOf: readonly Run[][]): Blocks {
  const blocks = segmentsOf(segments).flatMap(({ first, count }, s) =>
    Array.from({ length: Math.ceil(count / size) }, (_, b) => ({
      first: first + b * size,
      count: Math.min(size, count - b * size),
      s,
    })),
  );
  const begins: number[] = [];
  let end = 4 * blocks.length;
  for (const runs of runsOf) {
    begins.push(end);
    end += 2 * runs.length;
  }
  const table = [
    ...blocks.flatMap(({ first, count, s }) => [first, count, begins[s], runsOf[s].length]),
    ...runsOf.flatMap(runs => runs.flatMap(({ first, count }) => [first, count])),
  ];
  return { count: blocks.length, table: Int32Array.from(table) };
}
