import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aggregations, lossWeights } from '../../src/methods/aggregation.ts';

const masks = fc.array(fc.array(fc.constantFrom(0, 1), { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 5 });
const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);

test('the weights of a batch make a mean of the tokens, of the sequences’ means, or of their sums', () => {
  const batch = [
    [0, 1, 1, 1],
    [0, 0, 1],
    [0, 0],
  ];
  const weights = (aggregation: (typeof aggregations)[number]) =>
    lossWeights(batch, aggregation).map(w => Array.from(w));
  expect(weights('token-mean')).toEqual([
    [0, 0.25, 0.25, 0.25],
    [0, 0, 0.25],
    [0, 0],
  ]);
  const sixth = Math.fround(1 / 6);
  expect(weights('seq-mean-token-mean')).toEqual([
    [0, sixth, sixth, sixth],
    [0, 0, 0.5],
    [0, 0],
  ]);
  expect(weights('seq-mean-token-sum')).toEqual([
    [0, 0.5, 0.5, 0.5],
    [0, 0, 0.5],
    [0, 0],
  ]);
});

test('means weigh 1 in all, and what is not learned weighs nothing, a whole batch of it included', () => {
  fc.assert(
    fc.property(masks, fc.constantFrom(...aggregations), (masks, aggregation) => {
      const weights = lossWeights(masks, aggregation);
      expect(weights.map(w => Array.from(w, weight => (weight === 0 ? 0 : 1)))).toEqual(masks);
      if (aggregation === 'seq-mean-token-sum') return;
      expect(sum(weights.map(sum))).toBeCloseTo(masks.flat().includes(1) ? 1 : 0, 6);
    }),
  );
});
