import type { Device } from '../device.ts';
import type { GpuMemory, GpuTensor } from './memory.ts';
import { matrixOf, multiply } from './product.ts';
import { addRows, takeRows } from './rows.ts';
import { groupNumber, groupsFor, largestOf, rowsOfGroups, shader, sumOf, threadsPerGroup } from './shader.ts';

/** Rows whose logits are in memory at the same time, for one part of the vocabulary. */
const rowsPerBlock = 512;

/** What is summed up of a row's softmax: maximum, Σ e^(l−best), Σ (l−best)·e^(l−best), the target's logit. */
const running = 4;

/** Takes in the logits of a part of the vocabulary, of `rows` rows from `firstRow` on. */
const takeInShader = shader('LM head', {
  writes: { sums: 'f32' },
  reads: { logits: 'f32', targets: 'i32' },
  params: { rows: 'u32', width: 'u32', firstRow: 'u32', firstToken: 'u32' },
  before: sumOf + largestOf,
  body: `
  let i = ${groupNumber};
  if (i >= p.rows) { return; }
  let at = p.logits + i * p.width;
  let to = p.sums + (p.firstRow + i) * ${running}u;
  let isFirst = p.firstToken == 0u;
  var highest = -3e38;
  for (var j = lane; j < p.width; j += ${threadsPerGroup}u) { highest = max(highest, logits[at + j]); }
  let best = largestOf(lane, max(highest, select(sums[to], -3e38, isFirst)));
  var mass = 0.0;
  var weighted = 0.0;
  for (var j = lane; j < p.width; j += ${threadsPerGroup}u) {
    let distance = logits[at + j] - best;
    let e = exp(distance);
    mass += e;
    weighted += e * distance;
  }
  mass = sumOf(lane, mass);
  weighted = sumOf(lane, weighted);
  if (lane != 0u) { return; }
  if (!isFirst) {
    let drop = sums[to] - best;
    let shrink = exp(drop);
    weighted += (sums[to + 2u] + drop * sums[to + 1u]) * shrink;
    mass += sums[to + 1u] * shrink;
  }
  sums[to] = best;
  sums[to + 1u] = mass;
  sums[to + 2u] = weighted;
  let goal = u32(targets[p.targets + p.firstRow + i]);
  if (goal >= p.firstToken && goal < p.firstToken + p.width) { sums[to + 3u] = logits[at + goal - p.firstToken]; }`,
});

const finish = [false, true].map(keeps =>
  shader('LM head results', {
    writes: { logprobs: 'f32', entropies: 'f32', ...(keeps && { logSums: 'f32' as const }) },
    reads: { sums: 'f32' },
    params: { count: 'u32' },
    body: `
  let i = flat(id);
  if (i >= p.count) { return; }
  let at = p.sums + i * ${running}u;
  let logSum = log(sums[at + 1u]);
  logprobs[p.logprobs + i] = sums[at + 3u] - sums[at] - logSum;
  entropies[p.entropies + i] = logSum - sums[at + 2u] / sums[at + 1u];
  ${keeps ? 'logSums[p.logSums + i] = sums[at] + logSum;' : ''}`,
  }),
);

/** dlogits = g·(onehot − softmax), in the place of the logits. */
const slopesShader = shader('LM head slopes', {
  writes: { logits: 'f32' },
  reads: { logSums: 'f32', dlogprobs: 'f32', targets: 'i32' },
  params: { count: 'u32', width: 'u32', firstRow: 'u32', firstToken: 'u32' },
  body: `
  let i = flat(id);
  if (i >= p.count) { return; }
  let row = p.firstRow + i / p.width;
  let share = exp(logits[p.logits + i] - logSums[p.logSums + row]);
  let isTarget = u32(targets[p.targets + row]) == p.firstToken + i % p.width;
  logits[p.logits + i] = dlogprobs[p.dlogprobs + row] * (select(0.0, 1.0, isTarget) - share);`,
});

type LmHead = Pick<Device, 'lmHead' | 'lmHeadBackward' | 'lmHeadLogits'>;

/**
 * Log-probabilities and entropies of given targets at given rows, part by part of rows and vocabulary: there are never the logits of
 * all. The backward pass computes each part's logits once more, instead of keeping them; in `scales` it finds the log of each row's sum.
 */
export function lmHeadKernels(memory: GpuMemory): LmHead {
  /** The logits of each part, and where it is. */
  const inParts = (
    rows: GpuTensor,
    w: GpuTensor,
    work: (logits: GpuTensor, part: { firstRow: number; firstToken: number; rows: number; width: number }) => void,
  ) => {
    const [m, h] = rows.shape;
    const [vocab] = w.shape;
    const block = Math.min(rowsPerBlock, m);
    const chunk = Math.min(w.chunkRows!, vocab);
    for (let firstToken = 0; firstToken < vocab; firstToken += chunk) {
      const width = Math.min(chunk, vocab - firstToken);
      for (let firstRow = 0; firstRow < m; firstRow += block) {
        const count = Math.min(block, m - firstRow);
        memory.temporary([count, width], logits => {
          multiply(
            memory,
            'A·Bᵀ',
            {
              c: matrixOf(logits),
              a: { tensor: rows, first: firstRow * h, stride: h },
              b: { tensor: w, first: firstToken * h, stride: h },
            },
            { rows: count, columns: width, depth: h },
            false,
          );
          work(logits, { firstRow, firstToken, rows: count, width });
        });
      }
    }
  };
  return {
    lmHead(logprobsId, entropiesId, _kept, scales, xId, rowsId, targetsId, wId) {
      const [logprobs, entropies, x, rows, targets, w] = [logprobsId, entropiesId, xId, rowsId, targetsId, wId].map(
        id => memory.get(id),
      );
      const m = rows.shape[0];
      const results = { logprobs, entropies, ...(scales !== undefined && { logSums: memory.get(scales) }) };
      memory.temporary([m, x.shape[1]], wanted =>
        memory.temporary([m, running], sums => {
          takeRows(memory, wanted, x, rows);
          inParts(wanted, w, (logits, part) => {
            memory.run(takeInShader, { sums, logits, targets }, part, rowsOfGroups(part.rows));
          });
          memory.run(finish[Number(scales !== undefined)], { ...results, sums }, { count: m }, groupsFor(m));
        }),
      );
    },
    lmHeadBackward(dxId, dw, dlogprobsId, _kept, scales, xId, rowsId, targetsId, wId, add) {
      const [dx, dlogprobs, x, rows, targets, w] = [dxId, dlogprobsId, xId, rowsId, targetsId, wId].map(id =>
        memory.get(id),
      );
      const [m, h] = [rows.shape[0], x.shape[1]];
      const logSums = memory.get(scales);
      memory.temporary([m, h], wanted =>
        memory.temporary([m, h], dwanted => {
          takeRows(memory, wanted, x, rows);
          inParts(wanted, w, (logits, part) => {
            const { firstRow, firstToken, rows: count, width } = part;
            const elements = count * width;
            const slopes = { count: elements, width, firstRow, firstToken };
            memory.run(slopesShader, { logits, logSums, dlogprobs, targets }, slopes, groupsFor(elements));
            const place = (tensor: GpuTensor, row: number) => ({ tensor, first: row * h, stride: h });
            multiply(
              memory,
              'A·B',
              { c: place(dwanted, firstRow), a: matrixOf(logits), b: place(w, firstToken) },
              { rows: count, columns: h, depth: width },
              firstToken > 0,
            );
            if (dw === undefined) return;
            multiply(
              memory,
              'Aᵀ·B',
              { c: place(memory.get(dw), firstToken), a: matrixOf(logits), b: place(wanted, firstRow) },
              { rows: width, columns: h, depth: count },
              add || firstRow > 0,
            );
          });
          addRows(memory, dx, dwanted, rows);
        }),
      );
    },
    lmHeadLogits(logitsId, xId, wId) {
      const [logits, x, w] = [logitsId, xId, wId].map(id => memory.get(id));
      const [vocab, h] = w.shape;
      const chunk = w.chunkRows!;
      for (const { first: firstRow, end } of memory.rowsInParts(logits)) {
        for (let first = 0; first < vocab; first += chunk) {
          multiply(
            memory,
            'A·Bᵀ',
            {
              c: { tensor: logits, first: firstRow * vocab + first, stride: vocab },
              a: { tensor: x, first: firstRow * h, stride: h },
              b: { tensor: w, first: first * h, stride: h },
            },
            { rows: end - firstRow, columns: Math.min(chunk, vocab - first), depth: h },
            false,
          );
        }
      }
    },
  };
}
