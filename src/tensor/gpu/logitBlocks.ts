import { allowedLogit, type Choices, choiceOf, choiceReads, never, weightOf } from './choices.ts';
import type { GpuMemory, GpuTensor } from './memory.ts';
import { groupNumber, largestOf, rowsOfGroups, shader, sumOf, threadsPerGroup } from './shader.ts';

/**
 * Rows of logits in blocks of neighbouring tokens, so that a row alone is work for a whole GPU: what each block sums up to, and each
 * block sorted. What is asked of a row is then asked of its blocks.
 */
export const blockLength = 1024;

/** Rows of logits that are bound together. */
export interface LogitRows {
  /** [rows, vocab] of them. */
  logits: { tensor: GpuTensor; first: number; count: number };
  /** `firstRow` is the first one's number among all. */
  params: { rows: number; firstRow: number; vocab: number; blocks: number };
}

/** What `LogitRows` tells programs. */
export const logitParams = { rows: 'u32', firstRow: 'u32', vocab: 'u32', blocks: 'u32' } as const;

/** All rows, so many at a time that what is made of them can be bound, too. */
export function logitRows(memory: GpuMemory, logits: GpuTensor): LogitRows[] {
  const vocab = logits.shape[1];
  const blocks = Math.ceil(vocab / blockLength);
  return memory.rowsInParts(logits, blocks * blockLength).map(({ first, end, slice }) => ({
    logits: slice,
    params: { rows: end - first, firstRow: first, vocab, blocks },
  }));
}

/** In a program of a workgroup for each row: its number in its part and among all. */
export const rowPlace = `
  let own = ${groupNumber};
  if (own >= p.rows) { return; }
  let row = p.firstRow + own;`;

/** In a program of a workgroup for each block: the same, and which of the row's blocks it is. */
export const blockPlace = `
  let number = ${groupNumber};
  if (number >= p.rows * p.blocks) { return; }
  let block = number % p.blocks;
  let own = number / p.blocks;
  let row = p.firstRow + own;`;

/** Where its row's logits begin, and which of them are its own. */
const blockTokens = `
  let at = p.logits + own * p.vocab;
  let first = block * ${blockLength}u;
  let end = min(first + ${blockLength}u, p.vocab);`;

/** Of a block: its largest logit and Σ e^(l − largest); the same of what may be drawn, by the row's temperature. */
const summed = 4;

const sumUp = [false, true].map(isMasked =>
  shader('sums of logits', {
    writes: { sums: 'f32' },
    reads: choiceReads(isMasked),
    params: logitParams,
    before: `${sumOf}${largestOf}${choiceOf}${weightOf}${allowedLogit(isMasked)}`,
    body: `${blockPlace}${blockTokens}
  var best = ${never};
  var bestAllowed = ${never};
  for (var token = first + lane; token < end; token += ${threadsPerGroup}u) {
    best = max(best, logits[at + token]);
    bestAllowed = max(bestAllowed, allowedLogit(row, at, token));
  }
  best = largestOf(lane, best);
  bestAllowed = largestOf(lane, bestAllowed);
  var mass = 0.0;
  var massAllowed = 0.0;
  for (var token = first + lane; token < end; token += ${threadsPerGroup}u) {
    mass += weightOf(logits[at + token], best, 1.0);
    massAllowed += weightOf(allowedLogit(row, at, token), bestAllowed, inverseOf(row));
  }
  mass = sumOf(lane, mass);
  massAllowed = sumOf(lane, massAllowed);
  if (lane != 0u) { return; }
  let to = p.sums + number * ${summed}u;
  sums[to] = best;
  sums[to + 1u] = mass;
  sums[to + 2u] = bestAllowed;
  sums[to + 3u] = massAllowed;`,
  }),
);

/** [rows, blocks, summed], for as long as `work` takes. */
export function withSums(
  memory: GpuMemory,
  { logits, params }: LogitRows,
  given: Choices,
  work: (sums: GpuTensor) => void,
): void {
  const { rows, blocks } = params;
  memory.temporary([rows * blocks, summed], sums => {
    const program = sumUp[Number(given.masks !== undefined)];
    memory.run(program, { sums, logits, ...given }, params, rowsOfGroups(rows * blocks));
    work(sums);
  });
}

/** In a program: log Σ e^l of a row, over all of the vocabulary. */
export const logSumOf = `
fn logSumOf(lane: u32, own: u32) -> f32 {
  let begin = p.sums + own * p.blocks * ${summed}u;
  let end = begin + p.blocks * ${summed}u;
  var best = ${never};
  for (var at = begin + lane * ${summed}u; at < end; at += ${threadsPerGroup * summed}u) { best = max(best, sums[at]); }
  best = largestOf(lane, best);
  var mass = 0.0;
  for (var at = begin + lane * ${summed}u; at < end; at += ${threadsPerGroup * summed}u) {
    mass += sums[at + 1u] * weightOf(sums[at], best, 1.0);
  }
  return best + log(sumOf(lane, mass));
}`;

/** In a program: the largest logit of a row that may be drawn, and what a block weighs beside it. */
export const drawnSums = `
fn bestAllowedOf(lane: u32, own: u32) -> f32 {
  var best = ${never};
  for (var block = lane; block < p.blocks; block += ${threadsPerGroup}u) {
    best = max(best, sums[p.sums + (own * p.blocks + block) * ${summed}u + 2u]);
  }
  return largestOf(lane, best);
}
fn blockWeight(own: u32, block: u32, best: f32, inverse: f32) -> f32 {
  let at = p.sums + (own * p.blocks + block) * ${summed}u;
  return sums[at + 3u] * weightOf(sums[at + 2u], best, inverse);
}`;

const sortThreads = 256;

/** The better of two tokens comes first, of equals the first. */
const sort = [false, true].map(isMasked =>
  shader('sort logits', {
    writes: { values: 'f32', order: 'i32', masses: 'f32' },
    reads: choiceReads(isMasked),
    params: logitParams,
    threads: sortThreads,
    before: `${choiceOf}${weightOf}${allowedLogit(isMasked)}
var<workgroup> keys: array<f32, ${blockLength}>;
var<workgroup> tokens: array<u32, ${blockLength}>;
var<workgroup> weights: array<f32, ${sortThreads}>;
fn isBetter(a: u32, b: u32) -> bool { return keys[a] > keys[b] || (keys[a] == keys[b] && tokens[a] < tokens[b]); }`,
    body: `${blockPlace}
  if (!isCut(row)) { return; }${blockTokens}
  for (var i = lane; i < ${blockLength}u; i += ${sortThreads}u) {
    let token = first + i;
    tokens[i] = token;
    keys[i] = ${never};
    if (token < end) { keys[i] = allowedLogit(row, at, token); }
  }
  for (var run = 2u; run <= ${blockLength}u; run *= 2u) {
    for (var step = run / 2u; step > 0u; step /= 2u) {
      workgroupBarrier();
      for (var pair = lane; pair < ${blockLength / 2}u; pair += ${sortThreads}u) {
        let a = 2u * pair - (pair & (step - 1u));
        let b = a + step;
        if (isBetter(b, a) == ((a & run) == 0u)) {
          let key = keys[a];
          keys[a] = keys[b];
          keys[b] = key;
          let token = tokens[a];
          tokens[a] = tokens[b];
          tokens[b] = token;
        }
      }
    }
  }
  workgroupBarrier();
  let each = ${blockLength / sortThreads}u;
  var mass = 0.0;
  for (var i = lane * each; i < (lane + 1u) * each; i++) { mass += weightOf(keys[i], keys[0], inverseOf(row)); }
  weights[lane] = mass;
  for (var step = 1u; step < ${sortThreads}u; step *= 2u) {
    workgroupBarrier();
    var before = 0.0;
    if (lane >= step) { before = weights[lane - step]; }
    workgroupBarrier();
    weights[lane] += before;
  }
  workgroupBarrier();
  var running = 0.0;
  if (lane > 0u) { running = weights[lane - 1u]; }
  let to = number * ${blockLength}u;
  for (var i = lane * each; i < (lane + 1u) * each; i++) {
    running += weightOf(keys[i], keys[0], inverseOf(row));
    values[p.values + to + i] = keys[i];
    order[p.order + to + i] = i32(tokens[i]);
    masses[p.masses + to + i] = running;
  }`,
  }),
);

/** Blocks of rows that are cut, the best first. */
export interface SortedBlocks {
  /** [rows, blocks, blockLength]: logits … */
  values: GpuTensor;
  /** … their tokens … */
  order: GpuTensor;
  /** … and what they and those before them weigh, where the block's best weighs 1. */
  masses: GpuTensor;
}

/** The blocks of a part's rows, sorted, for as long as `work` takes. */
export function withSorted(
  memory: GpuMemory,
  { logits, params }: LogitRows,
  given: Choices,
  work: (sorted: SortedBlocks) => void,
): void {
  const groups = params.rows * params.blocks;
  const shape = [groups, blockLength];
  memory.temporary(shape, values =>
    memory.temporary(shape, order =>
      memory.temporary(shape, masses => {
        const program = sort[Number(given.masks !== undefined)];
        memory.run(program, { values, order, masses, logits, ...given }, params, rowsOfGroups(groups));
        work({ values, order, masses });
      }),
    ),
  );
}

/** In a program: how many of a sorted block are better than a value, or as good. */
export const countOf = `
fn countOf(sorted: u32, value: f32, orEqual: bool) -> u32 {
  var low = 0u;
  var high = ${blockLength}u;
  while (low < high) {
    let middle = (low + high) / 2u;
    let other = values[p.values + sorted + middle];
    if (other > value || (orEqual && other == value)) { low = middle + 1u; } else { high = middle; }
  }
  return low;
}`;

/** In a program: where a block of a part's row begins among the sorted. */
export const sortedPlace = (row: string, block: string) => `((${row} * p.blocks + ${block}) * ${blockLength}u)`;
