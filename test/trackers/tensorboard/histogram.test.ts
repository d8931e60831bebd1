import fc from 'fast-check';
import { expect, test } from 'vitest';
import { histogramOf } from '../../../src/trackers/tensorboard/histogram.ts';

test('a histogram has every value in the bucket whose limits are around it', () => {
  const value = fc.double({ min: 0, max: 100, noNaN: true });
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 50 }), values => {
      const { min, max, num, sum, sumSquares, bucket, bucketLimit } = histogramOf(values);
      expect([min, max, num]).toEqual([Math.min(...values), Math.max(...values), values.length]);
      expect(sum).toBeCloseTo(values.reduce((a, b) => a + b));
      expect(sumSquares).toBeCloseTo(values.reduce((a, b) => a + b * b, 0));
      expect(bucket.reduce((a, b) => a + b)).toBe(values.length);
      expect(bucketLimit.at(-1)).toBe(max);
      const slack = 1e-9 * max;
      let below = 0;
      for (const [i, limit] of bucketLimit.entries()) {
        below += bucket[i];
        expect(below).toBeGreaterThanOrEqual(values.filter(value => value < limit - slack).length);
        expect(below).toBeLessThanOrEqual(values.filter(value => value <= limit + slack).length);
      }
    }),
  );
});

test('values that are all equal are one bucket', () => {
  expect(histogramOf([1, 1, 1])).toMatchObject({ min: 1, max: 1, bucketLimit: [1], bucket: [3] });
});
