import { expect, it } from 'vitest';
import { native } from '../../src/tensor/native.ts';
import { linear, lmHeadLogits } from '../../src/tensor/ops.ts';
import { PackedWeight, scope, Tensor } from '../../src/tensor/tensor.ts';
import { normal } from './gradientCheck.ts';

const products = [
  { dtype: 'f32' as const, rows: 3072, columns: 1024 },
  { dtype: 'f32' as const, rows: 1024, columns: 3072 },
  { dtype: 'bf16' as const, rows: 3072, columns: 1024 },
  { dtype: 'bf16' as const, rows: 1024, columns: 3072 },
  { dtype: 'f32' as const, rows: 64, columns: 192 },
  { dtype: 'bf16' as const, rows: 64, columns: 192 },
];

/** What batched generation rests on: sizes as in a real model, where a library would like to split the sums. */
it.each(products)(
  'a row of a $dtype product [$columns] → [$rows] is bit for bit the same beside any others, by one thread or all',
  ({ dtype, rows, columns }) => {
    scope(() => {
      const weight = {
        forward: PackedWeight.of(Tensor.from(normal(1, rows, columns).data, [rows, columns]), dtype, 'forward'),
      };
      const { data } = normal(2, 100, columns);
      const product = (from: number, count: number) =>
        scope(() => {
          const x = Tensor.from(data.subarray(from * columns, (from + count) * columns), [count, columns], dtype);
          const logits = lmHeadLogits(x, weight);
          return [linear(undefined, x, weight).floats(), logits.floats()];
        });
      const whole = product(0, 100);
      const { threads } = native.cpu();
      for (const count of [1, 2, 3, 7, 16, 33, 64]) {
        for (const [from, used] of [
          [0, threads],
          [0, 1],
          [100 - count, threads],
        ]) {
          native.setThreads(used);
          product(from, count).forEach((part, kind) => {
            const same = whole[kind].subarray(from * rows, (from + count) * rows);
            expect(Buffer.compare(Buffer.from(part.buffer), Buffer.from(same.slice().buffer)), `${count} rows`).toBe(0);
          });
        }
      }
      native.setThreads(threads);
    });
  },
);
