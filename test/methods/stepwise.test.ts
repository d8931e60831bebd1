import fc from 'fast-check';
import { expect, test } from 'vitest';
import { distillationAdvantages } from '../../src/methods/distillation.ts';
import { stepDivergences, stepRanges, stepWeights } from '../../src/methods/stepwise.ts';
import vectors from '../vectors/stepwise.json' with { type: 'json' };

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>) {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) expect(Math.abs(actual[i] - expected[i])).toBeLessThan(1e-6);
}

test.each(vectors.map((vector, index) => ({ index, vector })))('step-wise vector $index', ({ vector }) => {
  const { mask, student, teacher, epsilon, delta } = vector;
  const steps = stepRanges(mask);
  expect(steps).toEqual(vector.steps);
  const divergence = stepDivergences(steps, student, teacher);
  expectClose(divergence, vector.divergence);
  const weights = stepWeights(divergence, { epsilon, delta });
  expectClose(weights, vector.stepWeights);
  const advantages = distillationAdvantages(steps, weights, vector.outcomeAdvantage, student, teacher);
  expectClose(advantages, vector.tokenAdvantages);
});

test('steps are the maximal runs of sampled tokens', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0, 1)), mask => {
      const covered = mask.map(() => 0);
      for (const [start, end] of stepRanges(mask)) {
        covered.fill(1, start, end);
        expect(mask[start - 1] ?? 0).toBe(0);
        expect(mask[end] ?? 0).toBe(0);
      }
      expect(covered).toEqual(mask);
    }),
  );
});

test('the weights are the cumulative product of divergence ratios, bounded only where used', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 5, noNaN: true }), { minLength: 1 }), divergence => {
      const weights = stepWeights(divergence);
      let product = 1;
      expect(weights[0]).toBe(1);
      for (let k = 1; k < divergence.length; k++) {
        product *= (divergence[k - 1] + 1e-6) / (divergence[k] + 1e-6);
        expect(weights[k]).toBeCloseTo(Math.min(product, 1.2), 6);
      }
    }),
  );
});

const divergences = fc.array(fc.double({ min: 0.01, max: 5, noNaN: true }), { minLength: 1 });

test('equal divergences weigh the same, and a common scale changes nothing as ε goes to 0', () => {
  fc.assert(
    fc.property(divergences, fc.double({ min: 0.1, max: 10, noNaN: true }), (divergence, scale) => {
      expect(stepWeights(divergence.map(() => divergence[0]))).toEqual(divergence.map(() => 1));
      const weights = stepWeights(divergence, { epsilon: 1e-12 });
      const scaled = stepWeights(
        divergence.map(d => scale * d),
        { epsilon: 1e-12 },
      );
      expectClose(scaled, weights);
      for (const w of weights) expect(w).toBeLessThanOrEqual(1.2);
    }),
  );
});
