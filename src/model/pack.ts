/**
 * Several sequences in one pass without padding and without computing a common prefix twice.
 *
 * The sequences form a tree of their common prefixes. Each node becomes a segment of rows; a segment attends to itself
 * causally and to its ancestors whole. Sixteen answers to one prompt, or all dialogues that share a system message, cost that
 * prefix once, forward and backward: the gradient of the shared rows is the sum over the sequences by itself.
 */
export interface Pack {
  /** Token and position of each row. */
  ids: Int32Array;
  positions: Int32Array;
  /** [segments, 3]: first row, rows, parent segment or -1. */
  segments: Int32Array;
  /** For each sequence the row of each of its tokens. */
  rows: Int32Array[];
}

/** Shorter common prefixes than this are computed again: a segment has a cost of its own. */
const shortestShared = 16;

interface Node {
  tokens: readonly number[];
  from: number;
  to: number;
  children: Node[];
  /** Indices of the sequences that end here. */
  ending: number[];
}

/** Packs sequences of at least one token each. */
export function packSequences(sequences: readonly (readonly number[])[]): Pack {
  const roots: Node[] = [];
  sequences.forEach((tokens, index) => {
    insert(roots, tokens, 0, index);
  });
  return flatten(roots, sequences);
}

/** Rows that `packSequences` would need. */
export function packedRows(sequences: readonly (readonly number[])[]): number {
  return packSequences(sequences).ids.length;
}

function insert(siblings: Node[], tokens: readonly number[], from: number, index: number): void {
  for (const node of siblings) {
    const common = commonLength(node, tokens, from);
    const end = from + common;
    const whole = common === node.to - node.from;
    if (common === 0 || (common < shortestShared && !whole)) continue;
    if (!whole) split(node, common);
    if (end === tokens.length) node.ending.push(index);
    else insert(node.children, tokens, end, index);
    return;
  }
  siblings.push({ tokens, from, to: tokens.length, children: [], ending: [index] });
}

function commonLength(node: Node, tokens: readonly number[], from: number): number {
  const most = Math.min(node.to - node.from, tokens.length - from);
  let n = 0;
  while (n < most && node.tokens[node.from + n] === tokens[from + n]) n++;
  return n;
}

function split(node: Node, length: number): void {
  const { tokens, from, to, children, ending } = node;
  node.to = from + length;
  node.children = [{ tokens, from: from + length, to, children, ending }];
  node.ending = [];
}

function flatten(roots: Node[], sequences: readonly (readonly number[])[]): Pack {
  const ids: number[] = [];
  const positions: number[] = [];
  const segments: number[] = [];
  const rows = sequences.map(tokens => new Int32Array(tokens.length));
  const firstRows: { from: number; to: number; row: number }[] = [];
  const visit = (node: Node, parent: number) => {
    const segment = segments.length / 3;
    firstRows.push({ from: node.from, to: node.to, row: ids.length });
    segments.push(ids.length, node.to - node.from, parent);
    for (let t = node.from; t < node.to; t++) {
      ids.push(node.tokens[t]);
      positions.push(t);
    }
    for (const index of node.ending) {
      for (const { from, to, row } of firstRows) for (let t = from; t < to; t++) rows[index][t] = row + t - from;
    }
    for (const child of node.children) visit(child, segment);
    firstRows.pop();
  };
  for (const root of roots) visit(root, -1);
  return {
    ids: Int32Array.from(ids),
    positions: Int32Array.from(positions),
    segments: Int32Array.from(segments),
    rows,
  };
}
