import type { Device } from '../device.ts';
import { allowedLogit, type Choice, choiceOf, choiceReads, isCut, never, weightOf, withChoices } from './choices.ts';
import {
  blockLength,
  countOf,
  drawnSums,
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

/**
 * In a program: `at` becomes the first of `count` weights at which their running sum, from `start` on, passes `goal`, and `atBefore` that
 * sum before it; the last that weighs anything, where rounding lets none pass. `weight` is that of number `i`. Each thread adds up some
 * neighbours; then all look for the passing thread, and among its weights.
 */
const passing = (at: string, count: string, start: string, goal: string, weight: string) => {
  const walk = (to: string, weight: string) => `
    running = ${at}Before;
    for (var i = ${at}; i < ${to} && running <= ${goal}; i++) {
      let weight = ${weight};
      if (weight > 0.0) {
        ${at} = i;
        ${at}Before = running;
      }
      running += weight;
    }`;
  return `
  var ${at} = 0u;
  var ${at}Before = ${start};
  {
    let each = (${count} + ${threadsPerGroup - 1}u) / ${threadsPerGroup}u;
    var running = 0.0;
    for (var i = lane * each; i < min((lane + 1u) * each, ${count}); i++) { running += ${weight}; }
    workgroupBarrier();
    shares[lane] = running;
    workgroupBarrier();
    ${walk(`${threadsPerGroup}u`, 'shares[i]')}
    let end = min((${at} + 1u) * each, ${count});
    ${at} *= each;
    ${walk('end', weight)}
  }`;
};

/** Lets numbers of tokens, which masses are divided by, be finite. */
const leastWeight = '1e-30';

const shares = `var<workgroup> shares: array<f32, ${threadsPerGroup}>;`;

/** Of the rows that are not cut. */
const draw = [false, true].map(isMasked =>
  shader('draw', {
    writes: { tokens: 'i32', logprobs: 'f32' },
    reads: { sums: 'f32', ...choiceReads(isMasked) },
    params: logitParams,
    before: `${sumOf}${largestOf}${choiceOf}${weightOf}${allowedLogit(isMasked)}${logSumOf}${drawnSums}${shares}`,
    body: `${rowPlace}
  if (isCut(row)) { return; }
  let at = p.logits + own * p.vocab;
  let inverse = inverseOf(row);
  let best = bestAllowedOf(lane, own);
  var mass = 0.0;
  for (var i = lane; i < p.blocks; i += ${threadsPerGroup}u) { mass += blockWeight(own, i, best, inverse); }
  let goal = uniformOf(row) * sumOf(lane, mass);
  ${passing('block', 'p.blocks', '0.0', 'goal', 'blockWeight(own, i, best, inverse)')}
  let first = block * ${blockLength}u;
  let length = min(${blockLength}u, p.vocab - first);
  ${passing('place', 'length', 'blockBefore', 'goal', 'weightOf(allowedLogit(row, at, first + i), best, inverse)')}
  let logSum = logSumOf(lane, own);
  if (lane == 0u) {
    tokens[p.tokens + row] = i32(first + place);
    logprobs[p.logprobs + row] = logits[at + first + place] - logSum;
  }`,
  }),
);

/**
 * Of those that are: the likeliest tokens, until they are top-k or weigh top-p of all, and one of them from the likeliest on. Both are
 * found by halving where the logit can be with which the tokens at least as likely are so many, or weigh so much; of equals, the first.
 */
const drawCut = shader('draw from the likeliest', {
  writes: { tokens: 'i32', logprobs: 'f32' },
  reads: { sums: 'f32', choices: 'i32', values: 'f32', order: 'i32', masses: 'f32' },
  params: logitParams,
  before: `${sumOf}${largestOf}${choiceOf}${weightOf}${logSumOf}${drawnSums}${countOf}${shares}
struct Row { own: u32, best: f32, inverse: f32 }
fn above(lane: u32, row: Row, value: f32, orEqual: bool) -> vec2f {
  var mass = 0.0;
  var count = 0.0;
  for (var block = lane; block < p.blocks; block += ${threadsPerGroup}u) {
    let sorted = ${sortedPlace('row.own', 'block')};
    let better = countOf(sorted, value, orEqual);
    if (better > 0u) {
      mass += masses[p.masses + sorted + better - 1u] * weightOf(values[p.values + sorted], row.best, row.inverse);
      count += f32(better);
    }
  }
  return vec2f(sumOf(lane, mass), sumOf(lane, count));
}
fn keyOf(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}
fn valueOf(key: u32) -> f32 { return bitcast<f32>(select(~key, key & 0x7fffffffu, (key >> 31u) == 1u)); }
fn threshold(lane: u32, row: Row, mass: f32, isReached: bool, count: f32) -> f32 {
  var low = keyOf(${never});
  var high = keyOf(row.best) + 1u;
  for (var bit = 0u; bit < 32u; bit++) {
    let middle = low + (high - low) / 2u;
    let found = above(lane, row, valueOf(middle), true);
    if (found.x > mass || (isReached && found.x == mass) || found.y >= count) { low = middle; } else { high = middle; }
  }
  return valueOf(low);
}`,
  body: `${rowPlace}
  if (!isCut(row)) { return; }
  let whole = Row(own, bestAllowedOf(lane, own), inverseOf(row));
  let most = f32(min(topKOf(row), p.vocab));
  let mass = topPOf(row) * above(lane, whole, ${never}, true).x;
  let least = threshold(lane, whole, mass, true, most);
  let better = above(lane, whole, least, false);
  let reached = above(lane, whole, least, true);
  let weight = weightOf(least, whole.best, whole.inverse);
  let wanted = ceil((mass - better.x) / max(weight, ${leastWeight}));
  let equals = clamp(wanted, 1.0, min(most, reached.y) - better.y);
  let goal = uniformOf(row) * (better.x + equals * weight);
  let value = max(least, threshold(lane, whole, goal, false, 3e38));
  let before = above(lane, whole, value, false);
  let others = above(lane, whole, value, true).y - before.y;
  let last = select(others, equals, value == least) - 1.0;
  let nth = clamp(floor((goal - before.x) / max(weightOf(value, whole.best, whole.inverse), ${leastWeight})), 0.0, last);
  ${passing(
    'block',
    'p.blocks',
    '0.0',
    'nth',
    `f32(countOf(${sortedPlace('own', 'i')}, value, true) - countOf(${sortedPlace('own', 'i')}, value, false))`,
  )}
  let logSum = logSumOf(lane, own);
  if (lane == 0u) {
    let sorted = ${sortedPlace('own', 'block')};
    let token = order[p.order + sorted + countOf(sorted, value, false) + u32(nth - blockBefore)];
    tokens[p.tokens + row] = min(token, i32(p.vocab) - 1); // logits that are no numbers have no order
    logprobs[p.logprobs + row] = value - logSum;
  }`,
});

/**
 * A token from each row of logits, and its log-probability: no more is read from the GPU. The same chance draws the same token as on the
 * CPU, unless it is so near to a boundary between two that the last bits of sums decide.
 */
export function samplingKernels(memory: GpuMemory): Pick<Device, 'sample'> {
  return {
    sample(tokensId, logprobsId, logitsId, temperatures, topPs, topKs, uniforms, masksId, maskOf) {
      const [tokens, logprobs, logits] = [tokensId, logprobsId, logitsId].map(id => memory.get(id));
      const [count, vocab] = logits.shape;
      const given = [temperatures, topPs, topKs, uniforms].map(id => memory.read(memory.get(id)));
      const masked = maskOf === null ? undefined : memory.read(memory.get(maskOf));
      const rows = Array.from({ length: count }, (_, i): Choice => {
        const [temperature, topP, topK, uniform] = given.map(values => values[i]);
        return { temperature, topP, topK, uniform, maskOf: masked?.[i] ?? -1 };
      });
      const masks = masksId === null ? undefined : memory.get(masksId);
      withChoices(memory, rows, masks, choices => {
        for (const part of logitRows(memory, logits)) {
          const { params } = part;
          const groups = rowsOfGroups(params.rows);
          const own = rows.slice(params.firstRow, params.firstRow + params.rows).map(row => isCut(row, vocab));
          withSums(memory, part, choices, sums => {
            const results = { tokens, logprobs, sums };
            if (own.includes(false)) {
              const program = draw[Number(masks !== undefined)];
              memory.run(program, { ...results, logits: part.logits, ...choices }, params, groups);
            }
            if (!own.includes(true)) return;
            withSorted(memory, part, choices, sorted => {
              memory.run(drawCut, { ...results, choices: choices.choices, ...sorted }, params, groups);
            });
          });
        }
      });
      memory.fetch(tokens, logprobs);
    },
  };
}
