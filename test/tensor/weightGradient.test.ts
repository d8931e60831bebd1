import fc from 'fast-check';
import { expect, test } from 'vitest';
import { embedding, linear } from '../../src/tensor/ops.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { PackedWeight, scope, Tensor } from '../../src/tensor/tensor.ts';
import { normal } from './gradientCheck.ts';

const shapes = fc.record({
  dtype: fc.constantFrom<'f32' | 'bf16'>('f32', 'bf16'),
  n: fc.constantFrom(1, 7, 130),
  rows: fc.constantFrom(1, 8, 31, 64, 129),
  columns: fc.constantFrom(1, 8, 31, 64, 130),
});

test('the gradient of a weight is that of its transpose, turned, bit for bit, however narrow it is', () => {
  fc.assert(
    fc.property(shapes, ({ dtype, n, rows, columns }) => {
      scope(() => {
        const [dy, x] = [rows, columns].map((width, i) => Tensor.from(normal(i, n, width).data, [n, width], dtype));
        const start = normal(3, rows, columns).data;
        const turned = (numbers: Float32Array, height: number, width: number) =>
          Float32Array.from(numbers, (_, i) => numbers[(i % height) * width + Math.floor(i / height)]);
        const gradient = (y: Tensor, x: Tensor, first: Float32Array) => {
          const shape = [y.shape[1], x.shape[1]];
          const weight = PackedWeight.of(Tensor.zeros(dtype, shape), dtype, 'forward');
          const linearMap = { forward: weight, backward: weight.backward(), grad: Tensor.from(first, shape) };
          const tape = new Tape();
          tape.give(linear(tape, x, linearMap), y, { lent: true });
          tape.backward();
          return linearMap.grad.floats();
        };
        const dw = gradient(dy, x, start);
        expect(turned(gradient(x, dy, turned(start, rows, columns)), columns, rows)).toEqual(dw);
      });
    }),
    { numRuns: 40 },
  );
});

test('no gradient is made of what nothing is trained in', () => {
  scope(() => {
    const weight = Tensor.from(normal(1, 8, 4).data, [8, 4]);
    const forward = PackedWeight.of(weight, 'f32', 'forward');
    const linearMap = { forward, backward: forward.backward(), grad: Tensor.zeros('f32', [8, 4]) };
    const gradients = [undefined, Tensor.zeros('f32', [3, 4])].map(grad => {
      const tape = new Tape();
      const x = embedding(
        tape,
        { weight: Tensor.from(normal(2, 3, 4).data, [3, 4]), grad },
        Tensor.from(Int32Array.of(2, 0)),
      );
      tape.give(linear(tape, x, linearMap), Tensor.from(normal(3, 2, 8).data, [2, 8]));
      expect(tape.isConstant(x)).toBe(!grad);
      linearMap.grad.zero();
      tape.backward();
      return [linearMap.grad.floats(), grad?.floats()];
    });
    expect(gradients[0][0]).toEqual(gradients[1][0]);
    expect(gradients[1][1]!.some(value => value !== 0)).toBe(true);
  });
});
