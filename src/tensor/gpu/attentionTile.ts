import { groupNumber } from './shader.ts';

/**
 * What the programs of attention are made of. A workgroup has a block of rows and a head. Four threads a row share its scores, and the
 * dimensions of what is summed up for it.
 */
export const lanes = 4;

/** Rows of a block, and the length of a head. */
export interface Tile {
  size: number;
  d: number;
}

/** The largest that fits into shared memory so many times, beside two matrices of scores. */
export function tileFor(d: number, operands: number, bytes: number): Tile {
  const fits = (size: number) => 4 * size * (operands * stride(d) + 2 * size) <= bytes;
  return { size: [16, 8].find(fits) ?? 4, d };
}

/** From row to row in shared memory: odd, so that the same dimension of several rows is in different banks. */
export function stride(d: number): number {
  return d | 1;
}

/** The numbers that each of them has. */
export const shape = { heads: 'u32', kvHeads: 'u32', scale: 'f32', blocks: 'u32' } as const;

/** Shared memory for a head of a block's rows, by each of these names. */
export const sharedRows = ({ size, d }: Tile, ...names: string[]) =>
  names.map(name => `var<workgroup> ${name}: array<f32, ${size * stride(d)}>;`).join('\n');

/** The same for a score of each row and each key of a block. */
export const sharedScores = ({ size }: Tile, ...names: string[]) =>
  names.map(name => `var<workgroup> ${name}: array<f32, ${size * size}>;`).join('\n');

/** Fills shared memory with a head of `count` rows from `first` on, and zeros behind them. */
export const load = (
  { size, d }: Tile,
  to: string,
  tensor: string,
  first: string,
  count: string,
  width: string,
  column: string,
) => `
  for (var e = lane; e < ${size * d}u; e += ${size * lanes}u) {
    let j = e / ${d}u;
    var value = 0.0;
    if (j < ${count}) { value = ${tensor}[p.${tensor} + (${first} + j) * ${width} + ${column} + e % ${d}u]; }
    ${to}[j * ${stride(d)}u + e % ${d}u] = value;
  }`;

/** The product of two rows in shared memory, by their numbers. */
export const dot = ({ d }: Tile, a: string, rowOfA: string, b: string, rowOfB: string) => `
  for (var j = 0u; j < ${d}u; j++) { product = fma(${a}[${rowOfA} * ${stride(d)}u + j], ${b}[${rowOfB} * ${stride(d)}u + j], product); }`;

/** For each dimension `j` that this thread sums up, the `i`th of them. */
export const eachDimension = ({ d }: Tile, body: string) => `
  for (var i = 0u; i < ${Math.ceil(d / lanes)}u; i++) {
    let j = c + ${lanes}u * i;
    ${d % lanes === 0 ? body : `if (j < ${d}u) { ${body} }`}
  }`;

/** What `eachDimension` adds to. */
export const zeros = ({ d }: Tile, name: string) => `var ${name} = array<f32, ${Math.ceil(d / lanes)}>();`;

/** What a block of rows has in `table`, and where heads are in the tensors. @param heads how many share a block */
export const place = ({ d }: Tile, heads: 'heads' | 'kvHeads') => `
  let number = ${groupNumber};
  if (number >= p.blocks * p.${heads}) { return; }
  let entry = p.table + number / p.${heads} * 4u;
  let firstRow = u32(table[entry]);
  let rows = u32(table[entry + 1u]);
  let runs = p.table + u32(table[entry + 2u]);
  let runsEnd = runs + 2u * u32(table[entry + 3u]);
  let groupSize = p.heads / p.kvHeads;
  let qkWidth = (p.heads + p.kvHeads) * ${d}u;
  let qkvWidth = (p.heads + 2u * p.kvHeads) * ${d}u;
  let outWidth = p.heads * ${d}u;
  let r = lane / ${lanes}u;
  let c = lane % ${lanes}u;`;

/** The same of a block of queries: also the columns of its head, and of the keys and values that it has. */
export const queryPlace = (tile: Tile) => `${place(tile, 'heads')}
  let head = number % p.heads;
  let headColumn = head * ${tile.d}u;
  let keyColumn = (p.heads + head / groupSize) * ${tile.d}u;
  let valueColumn = (p.heads + p.kvHeads + head / groupSize) * ${tile.d}u;`;

/** Each block of `count` keys from `first` on, up to the last row of the block: those that a row may not see come after it. */
export const overKeys = ({ size }: Tile, body: string) => `
  for (var run = runs; run < runsEnd; run += 2u) {
    let end = min(u32(table[run] + table[run + 1u]), firstRow + rows);
    for (var first = u32(table[run]); first < end; first += ${size}u) {
      let count = min(${size}u, end - first);
      ${body}
    }
  }`;
