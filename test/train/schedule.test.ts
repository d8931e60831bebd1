import fc from 'fast-check';
import { expect, test } from 'vitest';
import { learningRateAt } from '../../src/train/schedule.ts';

const curve = (schedule: 'constant' | 'cosine' | 'linear', warmup: number, updates: number) =>
  Array.from({ length: updates }, (_, u) => learningRateAt({ schedule, learningRate: 1, warmup }, u, updates));

test('warm-up is linear, then the shape begins at the full rate', () => {
  expect(curve('constant', 0.5, 4)).toEqual([0.5, 1, 1, 1]);
  expect(curve('linear', 0.2, 5)).toEqual([1, 1, 0.75, 0.5, 0.25]);
  expect(curve('cosine', 0, 4)).toEqual(
    [1, (1 + Math.SQRT1_2) / 2, 0.5, (1 - Math.SQRT1_2) / 2].map(v => expect.closeTo(v, 12)),
  );
});

test('the rate is within (0, learningRate] at every update', () => {
  const schedule = fc.constantFrom('constant' as const, 'cosine' as const, 'linear' as const);
  fc.assert(
    fc.property(
      schedule,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 1, max: 300 }),
      (s, warmup, n) => {
        for (const rate of curve(s, warmup, n)) {
          expect(rate).toBeGreaterThan(0);
          expect(rate).toBeLessThanOrEqual(1);
        }
      },
    ),
  );
});
