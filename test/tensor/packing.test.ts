import fc from 'fast-check';
import { expect, test } from 'vitest';
import { embedding, linear, lmHead } from '../../src/tensor/ops.ts';
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

test('what is made of one direction is what is made of the weight itself, bit for bit: rows, and the other direction', () => {
  fc.assert(
    fc.property(shapes, fc.constantFrom(64, 128, 256), ({ dtype, rows, columns }, chunkRows) => {
      scope(() => {
        const weight = Tensor.from(normal(1, rows, columns).data, [rows, columns], dtype);
        const forward = PackedWeight.of(weight, dtype, 'forward', chunkRows);
        const ids = Tensor.from(Int32Array.from({ length: rows }, (_, i) => (i * 7) % rows));
        const rowsOf = (weight: Tensor | PackedWeight) => embedding(undefined, { weight }, ids).floats();
        expect(rowsOf(forward)).toEqual(rowsOf(weight));

        const slopes = (backward: PackedWeight) => {
          const x = Tensor.from(normal(2, 9, columns).data, [9, columns], dtype);
          const tape = new Tape();
          const wanted = Tensor.from(Int32Array.from({ length: 9 }, (_, i) => i));
          const targets = Tensor.from(Int32Array.from({ length: 9 }, (_, i) => (i * 31) % rows));
          lmHead(tape, x, wanted, targets, { forward, backward }).setGradient(normal(3, 9).data);
          tape.backward();
          return tape.gradient(x).floats();
        };
        expect(slopes(forward.backward())).toEqual(slopes(PackedWeight.of(weight, dtype, 'backward', chunkRows)));
      });
    }),
    { numRuns: 30 },
  );
});
