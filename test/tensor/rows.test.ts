import fc from 'fast-check';
import { expect, it } from 'vitest';
import { native } from '../../src/tensor/cpu/native.ts';
import { linear, lmHeadLogits } from '../../src/tensor/ops.ts';
import { PackedWeight, scope, Tensor } from '../../src/tensor/tensor.ts';
import { sameBits } from './bits.ts';
import type { Activations, Values } from './gradientCheck.ts';
import { numbers, productShapes } from './productShapes.ts';
import { threadCounts, withThreads } from './threads.ts';

const mostRows = 200;
const choices = fc.record({
  /** Which rows, in which order. */
  chosen: fc.oneof(
    fc.array(fc.nat(mostRows - 1), { minLength: 1, maxLength: 8 }),
    fc.array(fc.nat(mostRows - 1), { minLength: 9, maxLength: mostRows }),
  ),
  threads: fc.constantFrom(...threadCounts),
});

function taken({ data, shape: [, width] }: Values, rows: number[], dtype: Activations): Tensor {
  const values = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    values.set(data.subarray(row * width, (row + 1) * width), i * width);
  });
  return Tensor.from(values, [rows.length, width], dtype);
}

const products = productShapes.flatMap(shape => (['f32', 'bf16'] as const).map(dtype => ({ ...shape, dtype })));

/** What batched generation rests on, and a conversation that goes on: y = x Wᵀ, also as logits, and dx = dy W. */
it.each(products)(
  'a row of $product, [$columns] → [$rows] in $dtype, has the same bits alone and beside any others, in any order, by any number of threads',
  ({ dtype, rows, columns }) => {
    scope(() => {
      const w = Tensor.from(numbers(1, rows, columns).data, [rows, columns]);
      const [forward, backward] = (['forward', 'backward'] as const).map(d => PackedWeight.of(w, dtype, d));
      const [x, dy] = [numbers(2, mostRows, columns), numbers(3, mostRows, rows)];
      const results = (chosen: number[]) =>
        scope(() => {
          const input = taken(x, chosen, dtype);
          const dx = Tensor.allocate(dtype, input.shape);
          native().linearBackward(dx.id, taken(dy, chosen, dtype).id, backward.id);
          return [linear(undefined, input, { forward }), lmHeadLogits(input, { forward }), dx].map(t => t.floats());
        });
      const whole = results(Array.from({ length: mostRows }, (_, row) => row));
      fc.assert(
        fc.property(choices, ({ chosen, threads }) => {
          const part = withThreads(threads, () => results(chosen));
          part.forEach((result, kind) => {
            const width = result.length / chosen.length;
            chosen.forEach((row, i) => {
              const alone = result.subarray(i * width, (i + 1) * width);
              const among = whole[kind].subarray(row * width, (row + 1) * width);
              expect(sameBits(alone, among), `row ${row}`).toBe(true);
            });
          });
        }),
        { numRuns: 20 },
      );
    });
  },
);
