import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type LossInputs, normalizer, sequenceLoss } from '../../src/engine/losses.ts';
import type { LossSpec } from '../../src/engine/types.ts';
import vectors from '../vectors/policyLoss.json' with { type: 'json' };

function batchLoss(data: LossInputs[], logprobs: number[][], loss: LossSpec) {
  const scale = normalizer(data, loss.aggregation);
  const parts = data.map((datum, i) => sequenceLoss(datum, logprobs[i], loss, scale(datum)));
  const sum = (value: (part: (typeof parts)[number]) => number) => parts.reduce((total, p) => total + value(p), 0);
  const tokens = sum(p => p.tokens);
  return {
    loss: sum(p => p.loss),
    gradients: parts.map(p => p.gradient),
    metric: (name: string) => sum(p => p.metricSums[name]) / tokens,
  };
}

test.each(vectors.map((vector, index) => ({ index, vector })))('policy loss vector $index', ({ vector }) => {
  const data = vector.mask.map((weights, i) => ({
    weights,
    advantages: vector.advantages[i],
    behaviourLogprobs: vector.oldLogprobs[i],
  }));
  const { clipLow, clipHigh, dualClip } = vector;
  const aggregation = vector.aggregation as LossSpec['aggregation'];
  const result = batchLoss(data, vector.newLogprobs, { kind: 'ppo', aggregation, clipLow, clipHigh, dualClip });
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
const aggregations = ['token-mean', 'seq-mean-token-mean', 'seq-mean-token-sum'] as const;
const losses: fc.Arbitrary<LossSpec> = fc.constantFrom(
  ...aggregations.flatMap((aggregation): LossSpec[] => [
    { kind: 'cross_entropy', aggregation },
    { kind: 'importance_sampling', aggregation },
    { kind: 'ppo', aggregation, clipLow: 0.2, clipHigh: 0.28, dualClip: 3 },
  ]),
);

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
    fc.property(batch, fc.constantFrom(...aggregations), ({ data }, aggregation) => {
      const logprobs = data.map(d => d.behaviourLogprobs);
      const ppo = batchLoss(data, logprobs, { kind: 'ppo', aggregation, clipLow: 0.2, clipHigh: 0.28, dualClip: 3 });
      const sampled = batchLoss(data, logprobs, { kind: 'importance_sampling', aggregation });
      expect(ppo.loss).toBeCloseTo(sampled.loss, 10);
      expect(ppo.gradients).toEqual(sampled.gradients);
      expect(ppo.metric('clipFraction')).toBe(0);
    }),
  );
});

const policyLosses: LossSpec[] = [
  { kind: 'ppo', clipLow: 0.2, clipHigh: 0.28, dualClip: 1e12 },
  { kind: 'importance_sampling' },
];

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
  expect(() => sequenceLoss({ weights: [1] }, [-1], { kind: 'importance_sampling' }, 1)).toThrow(/needs advantages/);
});
