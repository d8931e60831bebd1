import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type LossInputs, sequenceLoss } from '../../src/engine/losses.ts';
import type { LossSpec } from '../../src/engine/types.ts';
import { type Aggregation, lossWeights } from '../../src/methods/aggregation.ts';
import vectors from '../vectors/policyLoss.json' with { type: 'json' };

function batchLoss(data: LossInputs[], logprobs: number[][], loss: LossSpec) {
  const parts = data.map((datum, i) => sequenceLoss(datum, logprobs[i], loss));
  const sum = (value: (part: (typeof parts)[number]) => number) => parts.reduce((total, p) => total + value(p), 0);
  const tokens = sum(p => p.tokens);
  return {
    loss: sum(p => p.loss),
    gradients: parts.map(p => p.gradient),
    metric: (name: string) => sum(p => p.metricSums[name]) / tokens,
  };
}

test.each(vectors.map((vector, index) => ({ index, vector })))('policy loss vector $index', ({ vector }) => {
  const weights = lossWeights(vector.mask, vector.aggregation as Aggregation);
  const data = weights.map((weights, i) => ({
    weights,
    advantages: vector.advantages[i],
    behaviourLogprobs: vector.oldLogprobs[i],
  }));
  const { clipLow, clipHigh, dualClip } = vector;
  const result = batchLoss(data, vector.newLogprobs, { kind: 'ppo', clipLow, clipHigh, dualClip });
  expect(Math.abs(result.loss - vector.loss)).toBeLessThan(1e-6);
  for (const metric of ['clipFraction', 'approxKl', 'clipFractionLower'] as const) {
    expect(Math.abs(result.metric(metric) - vector[metric])).toBeLessThan(1e-6);
  }
  for (const [i, row] of vector.gradLogprobs.entries()) {
    for (const [t, g] of row.entries()) expect(Math.abs(result.gradients[i][t] - g)).toBeLessThan(1e-6);
  }
});

const token = fc.record({
  weight: fc.constantFrom(0, 1, 0.5),
  advantage: fc.double({ min: -4, max: 4, noNaN: true }),
  behaviour: fc.double({ min: -4, max: -0.01, noNaN: true }),
  logprob: fc.double({ min: -4, max: -0.01, noNaN: true }),
});
const batch = fc
  .array(fc.array(token, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 4 })
  .filter(sequences => sequences.some(s => s.some(t => t.weight > 0)))
  .map(sequences => ({
    data: sequences.map(s => ({
      weights: s.map(t => t.weight),
      advantages: s.map(t => t.advantage),
      behaviourLogprobs: s.map(t => t.behaviour),
    })),
    logprobs: sequences.map(s => s.map(t => t.logprob)),
  }));
const ppo: LossSpec = { kind: 'ppo', clipLow: 0.2, clipHigh: 0.28, dualClip: 3 };
const losses = fc.constantFrom<LossSpec[]>({ kind: 'cross_entropy' }, { kind: 'importance_sampling' }, ppo, {
  ...ppo,
  dualClip: 'off',
});

test('the gradient is the slope of the loss', () => {
  fc.assert(
    fc.property(batch, losses, fc.nat(), fc.nat(), ({ data, logprobs }, loss, pickSequence, pickToken) => {
      const i = pickSequence % data.length;
      const t = pickToken % logprobs[i].length;
      const ratio = Math.exp(logprobs[i][t] - data[i].behaviourLogprobs[t]);
      fc.pre([0.8, 1.28, 3].every(kink => Math.abs(ratio - kink) > 1e-3));
      const shifted = (by: number) => logprobs.map((row, r) => row.map((p, c) => (r === i && c === t ? p + by : p)));
      const h = 1e-5;
      const slope = (batchLoss(data, shifted(h), loss).loss - batchLoss(data, shifted(-h), loss).loss) / (2 * h);
      const { gradients } = batchLoss(data, logprobs, loss);
      expect(Math.abs(gradients[i][t] - slope)).toBeLessThan(1e-4 * Math.max(1, Math.abs(slope)));
    }),
  );
});

test('on the sampling policy itself importance sampling and ppo agree', () => {
  fc.assert(
    fc.property(batch, ({ data }) => {
      const logprobs = data.map(d => d.behaviourLogprobs);
      const clipped = batchLoss(data, logprobs, ppo);
      const sampled = batchLoss(data, logprobs, { kind: 'importance_sampling' });
      expect(clipped.loss).toBeCloseTo(sampled.loss, 10);
      expect(clipped.gradients).toEqual(sampled.gradients);
      expect(clipped.metric('clipFraction')).toBe(0);
    }),
  );
});

test('an engine that is sent weight × advantage as the advantage computes the same, bit for bit', () => {
  const policyLosses = fc.constantFrom<LossSpec[]>({ kind: 'importance_sampling' }, ppo, { ...ppo, dualClip: 'off' });
  fc.assert(
    fc.property(batch, policyLosses, ({ data, logprobs }, loss) => {
      const folded = data.map(({ weights, advantages, behaviourLogprobs }) => ({
        weights: weights.map(weight => (weight === 0 ? 0 : 1)),
        advantages: Float32Array.from(advantages, (advantage, t) => advantage * weights[t]),
        behaviourLogprobs,
      }));
      const [here, elsewhere] = [data, folded].map(sent => batchLoss(sent, logprobs, loss));
      expect(elsewhere.loss).toBe(here.loss);
      expect(elsewhere.gradients).toEqual(here.gradients);
    }),
  );
});

test('without the dual clip, a much more probable token of a negative advantage counts as its ratio says', () => {
  const worse = [{ weights: [1], advantages: [-1], behaviourLogprobs: [-3] }];
  expect(batchLoss(worse, [[-1]], ppo).loss).toBe(3);
  const free = batchLoss(worse, [[-1]], { ...ppo, dualClip: 'off' });
  expect(free.loss).toBeCloseTo(Math.exp(2), 10);
  expect(free.gradients[0][0]).toBeCloseTo(Math.exp(2), 5);
  expect(free.metric('clipFractionLower')).toBe(0);
});

const policyLosses: LossSpec[] = [{ ...ppo, dualClip: 'off' }, { kind: 'importance_sampling' }];

test.each(policyLosses)('$kind: a log-ratio beyond 20 neither overflows nor teaches', loss => {
  const over = (advantage: number, behaviour: number) =>
    batchLoss([{ weights: [1], advantages: [advantage], behaviourLogprobs: [behaviour] }], [[-1]], loss);
  expect(over(-1, -30).loss).toBeCloseTo(Math.exp(20), 0);
  for (const behaviour of [-30, -1000, Number.NEGATIVE_INFINITY]) {
    for (const advantage of [-1, 0, 1]) {
      const { loss: value, gradients, metric } = over(advantage, behaviour);
      expect(Number.isFinite(value)).toBe(true);
      expect(Math.abs(gradients[0][0])).toBe(0);
      expect(metric('approxKl')).toBe(-20);
    }
  }
  expect(Math.abs(over(0, -1000).loss)).toBe(0);
});

test('a policy loss without advantages is refused', () => {
  expect(() => sequenceLoss({ weights: [1] }, [-1], { kind: 'importance_sampling' })).toThrow(/needs advantages/);
});
