import fc from 'fast-check';
import { expect, test } from 'vitest';
import { linear } from '../../src/tensor/ops.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { PackedWeight, scope, Tensor } from '../../src/tensor/tensor.ts';
import { normal } from './gradientCheck.ts';

const shapes = fc.record({
  dtype: fc.constantFrom<'f32' | 'bf16'>('f32', 'bf16'),
  rows: fc.constantFrom(1, 31, 64, 129, 200),
  columns: fc.constantFrom(1, 32, 63, 64, 130),
});

test('a weight packed anew gives what one packed for the first time gives, bit for bit', () => {
  fc.assert(
    fc.property(shapes, ({ dtype, rows, columns }) => {
      scope(() => {
        const [before, after] = [1, 2].map(seed => Tensor.from(normal(seed, rows, columns).data, [rows, columns]));
        const packed = (w: Tensor) => ({
          forward: PackedWeight.of(w, dtype, 'forward'),
          backward: PackedWeight.of(w, dtype, 'backward'),
        });
        const products = (weight: ReturnType<typeof packed>) => {
          const tape = new Tape();
          const x = Tensor.from(normal(3, 9, columns).data, [9, columns], dtype);
          const y = linear(tape, x, { ...weight, grad: Tensor.zeros('f32', [rows, columns]) });
          const forward = y.floats();
          tape.give(y, Tensor.from(normal(4, 9, rows).data, [9, rows], dtype));
          tape.backward();
          return [forward, tape.gradient(x).floats()];
        };
        const again = packed(before);
        PackedWeight.repack(after, again.forward, again.backward);
        expect(products(again)).toEqual(products(packed(after)));
      });
    }),
    { numRuns: 60 },
  );
});
