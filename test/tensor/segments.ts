import fc from 'fast-check';

/** Rows and parent (or -1) of each segment of a pack, as the attention kernel takes them. */
export type SegmentTree = { rows: number; parent: number }[];

/** Random forests of segments: trees one after the other, parents before their children. */
export const segmentTree = (mostSegments: number, mostRows: number): fc.Arbitrary<SegmentTree> =>
  fc
    .array(fc.record({ rows: fc.integer({ min: 1, max: mostRows }), root: fc.boolean(), pick: fc.nat() }), {
      minLength: 1,
      maxLength: mostSegments,
    })
    .map(entries => {
      let first = 0;
      return entries.map(({ rows, root, pick }, s) => {
        if (s === 0 || root) first = s;
        return { rows, parent: first === s ? -1 : first + (pick % (s - first)) };
      });
    });

/** [segments, 3]: first row, rows, parent. */
export function segmentTable(tree: SegmentTree): Int32Array {
  let row = 0;
  return Int32Array.from(
    tree.flatMap(({ rows, parent }) => {
      row += rows;
      return [row - rows, rows, parent];
    }),
  );
}

export function totalRows(tree: SegmentTree): number {
  return tree.reduce((sum, { rows }) => sum + rows, 0);
}

/** For each row, the rows that it sees: its ancestors' and its own segment's up to itself, in order. */
export function visibleRows(tree: SegmentTree): number[][] {
  const table = segmentTable(tree);
  const whole = (s: number): number[] =>
    s < 0 ? [] : [...whole(tree[s].parent), ...Array.from({ length: tree[s].rows }, (_, r) => table[s * 3] + r)];
  return tree.flatMap(({ rows, parent }, s) => {
    const before = whole(parent);
    const own = whole(s).slice(before.length);
    return Array.from({ length: rows }, (_, r) => [...before, ...own.slice(0, r + 1)]);
  });
}
