import type { Device } from '../device.ts';
import { type Choice, never, weightOf, withChoices } from './choices.ts';
import {
  blockLength,
  blockPlace,
  countOf,
  logitParams,
  logitRows,
  logSumOf,
  rowPlace,
  sortedPlace,
  withSorted,
  withSums,
} from './logitBlocks.ts';
import type { GpuMemory } from './memory.ts';
import { largestOf, rowsOfGroups, shader, sumOf, threadsPerGroup } from './shader.ts';

/** A token stands where so many are better: in its own block those before it, and in each other those that a search there finds. */
const placeTop = shader('most probable tokens', {
  writes: { tokens: 'i32', logprobs: 'f32' },
  reads: { sums: 'f32', values: 'f32', order: 'i32' },
  params: { ...logitParams, k: 'u32' },
  before: `${sumOf}${largestOf}${weightOf}${logSumOf}${countOf}`,
  body: `${blockPlace}
  let logSum = logSumOf(lane, own);
  let sorted = ${sortedPlace('own', 'block')};
  for (var i = lane; i < min(p.k, ${blockLength}u); i += ${threadsPerGroup}u) {
    let value = values[p.values + sorted + i];
    var place = i;
    for (var other = 0u; other < p.blocks && place < p.k; other++) {
      if (other != block) { place += countOf(${sortedPlace('own', 'other')}, value, other < block); }
    }
    if (place < p.k) {
      tokens[p.tokens + row * p.k + place] = order[p.order + sorted + i];
      logprobs[p.logprobs + row * p.k + place] = value - logSum;
    }
  }`,
});

const rankTargets = shader('ranks of targets', {
  writes: { ranks: 'i32', targetLogprobs: 'f32' },
  reads: { sums: 'f32', values: 'f32', logits: 'f32', targets: 'i32' },
  params: logitParams,
  before: `${sumOf}${largestOf}${weightOf}${logSumOf}${countOf}`,
  body: `${rowPlace}
  let logSum = logSumOf(lane, own);
  let value = logits[p.logits + own * p.vocab + u32(targets[p.targets + row])];
  var better = 0.0;
  for (var block = lane; block < p.blocks; block += ${threadsPerGroup}u) {
    better += f32(countOf(${sortedPlace('own', 'block')}, max(value, ${never}), false));
  }
  better = sumOf(lane, better);
  if (lane == 0u) {
    ranks[p.ranks + row] = 1 + i32(better);
    targetLogprobs[p.targetLogprobs + row] = value - logSum;
  }`,
});

/** Nothing is drawn here: of all rows, blocks are sorted as those of rows that are cut. */
const sorted: Choice = { temperature: 1, topP: 0.5, topK: 0, uniform: 0, maskOf: -1 };

/** The most probable tokens of each row of logits, and where a given one stands. */
export function topTokenKernels(memory: GpuMemory): Pick<Device, 'topTokens'> {
  return {
    topTokens(tokensId, logprobsId, ranksId, targetLogprobsId, logitsId, targetsId) {
      const results = [tokensId, logprobsId, ranksId, targetLogprobsId].map(id => memory.get(id));
      const [tokens, logprobs, ranks, targetLogprobs] = results;
      const [logits, targets] = [logitsId, targetsId].map(id => memory.get(id));
      const k = tokens.shape[1];
      const rows = logits.shape[0];
      withChoices(memory, new Array(rows).fill(sorted), undefined, choices => {
        for (const part of logitRows(memory, logits)) {
          const { params } = part;
          withSums(memory, part, choices, sums =>
            withSorted(memory, part, choices, ({ values, order }) => {
              const groups = rowsOfGroups(params.rows * params.blocks);
              if (k > 0) memory.run(placeTop, { tokens, logprobs, sums, values, order }, { ...params, k }, groups);
              const given = { sums, values, logits: part.logits, targets };
              memory.run(rankTargets, { ranks, targetLogprobs, ...given }, params, rowsOfGroups(params.rows));
            }),
          );
        }
      });
      memory.fetch(...results);
    },
  };
}
