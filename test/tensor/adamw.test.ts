import fc from 'fast-check';
import { expect, test } from 'vitest';
import { adamw, globalNorm } from '../../src/tensor/ops.ts';
import { scope, Tensor } from '../../src/tensor/tensor.ts';
import { normal } from './gradientCheck.ts';

const options = { learningRate: 1e-2, betas: [0.9, 0.95] as [number, number], epsilon: 1e-8, weightDecay: 0.1 };

/** Loshchilov & Hutter, arXiv 1711.05101, algorithm 2 with a constant schedule, in float64. */
function reference(parameters: Float32Array, gradients: Float32Array[], gradScale: number): number[] {
  const [beta1, beta2] = options.betas;
  return Array.from(parameters, (start, i) => {
    let [p, m, v] = [start, 0, 0];
    gradients.forEach(({ [i]: raw }, k) => {
      const g = raw * gradScale;
      m = beta1 * m + (1 - beta1) * g;
      v = beta2 * v + (1 - beta2) * g * g;
      p -= options.learningRate * options.weightDecay * p;
      const corrected = Math.sqrt(v / (1 - beta2 ** (k + 1))) + options.epsilon;
      p -= (options.learningRate * m) / (1 - beta1 ** (k + 1)) / corrected;
    });
    return p;
  });
}

test('AdamW follows float64 over several updates and clears the gradients', () => {
  const cases = fc.record({
    size: fc.integer({ min: 1, max: 40_000 }),
    gradScale: fc.constantFrom(1, 0.25),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(cases, ({ size, gradScale, seed }) => {
      const start = normal(seed, size).data;
      const gradients = Array.from({ length: 5 }, (_, k) => normal(seed + k + 1, size).data);
      const { updated, left } = scope(() => {
        const [parameters, grads, firstMoments, secondMoments] = [0, 1, 2, 3].map(() => Tensor.zeros('f32', [size]));
        parameters.write(start);
        gradients.forEach((gradient, k) => {
          grads.write(gradient);
          adamw({ parameters, gradients: grads, firstMoments, secondMoments }, k + 1, { ...options, gradScale });
        });
        return { updated: parameters.floats(), left: grads.floats() };
      });
      expect(left.every(g => g === 0)).toBe(true);
      const expected = reference(start, gradients, gradScale);
      expect(expected.reduce((most, p, i) => Math.max(most, Math.abs(p - updated[i])), 0)).toBeLessThan(2e-6);
    }),
    { numRuns: 10 },
  );
});

test('the global norm is that of float64', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60_000 }), fc.nat(), (size, seed) => {
      const { data } = normal(seed, size);
      const norm = scope(() => globalNorm(Tensor.from(data)));
      expect(norm).toBeCloseTo(Math.sqrt(data.reduce((sum, g) => sum + g * g, 0)), 9);
    }),
    { numRuns: 10 },
  );
});
