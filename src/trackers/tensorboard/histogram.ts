import type { Histogram } from './event.ts';

/** As many as TensorBoard draws. */
const buckets = 30;

/** Values in buckets of one width; those of one value in one. */
export function histogramOf(values: readonly number[]): Histogram {
  const [min, max] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  const count = min === max ? 1 : buckets;
  const width = (max - min) / count;
  const bucket = new Array<number>(count).fill(0);
  for (const value of values) bucket[Math.min(count - 1, Math.floor((value - min) / width) || 0)]++;
  return {
    min,
    max,
    num: values.length,
    sum: values.reduce((sum, value) => sum + value, 0),
    sumSquares: values.reduce((sum, value) => sum + value * value, 0),
    bucketLimit: bucket.map((_, i) => (i === count - 1 ? max : min + (i + 1) * width)),
    bucket,
  };
}
