import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { native } from '../../src/tensor/cpu/native.ts';
import { addRmsNorm, linear, qkNormRope, swiglu } from '../../src/tensor/ops.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { PackedWeight, scope, Tensor } from '../../src/tensor/tensor.ts';
import { type Activations, normal, rounded } from './gradientCheck.ts';
import { numbers, productShapes } from './productShapes.ts';

/** Forward passes against plain loops in float64; gradients other than those of products follow from them in ops.test.ts. */

test.runIf(process.env.SOD_KERNELS?.includes('x86-64-v3'))('kernels for x86-64-v3 are those of AVX2', () => {
  expect(native().cpu()).toMatchObject({ isa: 'avx2', bf16: false });
});

/** A matrix by row and column. */
type Entries = (row: number, column: number) => number;
const entries =
  ({ data, shape: [, width] }: { data: Float32Array; shape: readonly number[] }): Entries =>
  (row, column) =>
    data[row * width + column];
const transposed =
  (a: Entries): Entries =>
  (row, column) =>
    a(column, row);

interface Product {
  left: Entries;
  right: Entries;
  depth: number;
  /** What was there before. */
  added?: number;
  storedAs: Activations;
}

/**
 * Compares c [m, n], or some hundred entries of it, with left · right in float64: each addition in fp32 is off by half a unit in
 * the last place at most, and so is what is stored in bf16.
 */
function expectProduct(c: Tensor, { left, right, depth, added = 0, storedAs }: Product): void {
  const n = c.shape[1];
  const actual = c.floats();
  const step = Math.ceil(actual.length / 700) | 1;
  let worst = 0;
  for (let at = 0; at < actual.length; at += step) {
    const [i, j] = [Math.floor(at / n), at % n];
    let [sum, size] = [added, Math.abs(added)];
    for (let k = 0; k < depth; k++) {
      const term = left(i, k) * right(k, j);
      sum += term;
      size += Math.abs(term);
    }
    const bound = 2 ** -24 * (depth + 1) * size + (storedAs === 'bf16' ? 2 ** -8 * Math.abs(sum) : 0);
    worst = Math.max(worst, Math.abs(actual[at] - sum) / bound);
  }
  expect(worst).toBeLessThanOrEqual(1);
}

describe.each(productShapes)('$product, [$columns] → [$rows]', ({ rows, columns }) => {
  const cases = (['f32', 'bf16'] as const).flatMap(dtype => [1, 130].map(n => ({ dtype, n })));

  it.each(cases)('and its two gradients are sums of products: $dtype, $n rows', ({ dtype, n }) => {
    const given = dtype === 'bf16' ? rounded : <T>(values: T) => values;
    const [x, w, dy] = [numbers(1, n, columns), numbers(2, rows, columns), numbers(3, n, rows)].map(given);
    scope(() => {
      const tape = new Tape();
      const weight = Tensor.from(w.data, w.shape);
      const grad = Tensor.from(new Float32Array(rows * columns).fill(0.5), w.shape);
      const [forward, backward] = (['forward', 'backward'] as const).map(d => PackedWeight.of(weight, dtype, d));
      const input = Tensor.from(x.data, x.shape, dtype);
      const record = (blank: boolean) => {
        const y = linear(tape, input, { forward, backward, grad, blank });
        tape.give(y, Tensor.from(dy.data, dy.shape, dtype));
        return y;
      };
      const [X, W, DY] = [x, w, dy].map(entries);
      expectProduct(record(false), { left: X, right: transposed(W), depth: columns, storedAs: dtype });
      tape.backward();
      expectProduct(tape.gradient(input), { left: DY, right: W, depth: rows, storedAs: dtype });
      const outer = { left: transposed(DY), right: X, depth: n, storedAs: 'f32' as const };
      expectProduct(grad, { ...outer, added: 0.5 });
      record(true);
      tape.backward();
      expectProduct(grad, outer);
    });
  });
});

const size = (max: number) => fc.integer({ min: 1, max });

function largestError(actual: Float32Array, expected: (row: number, column: number) => number, width: number): number {
  return actual.reduce((most, value, at) => {
    const exact = expected(Math.floor(at / width), at % width);
    return Math.max(most, Math.abs(value - exact) / Math.max(1, Math.abs(exact)));
  }, 0);
}

/** x / rms(x) of `d` numbers from `first` on. */
function normOf(x: Float32Array, first: number, d: number, epsilon: number): (j: number) => number {
  const squares = x.subarray(first, first + d).reduce((sum, value) => sum + value * value, 0);
  return j => x[first + j] / Math.sqrt(squares / d + epsilon);
}

test('the norm of a sum is its share of the root mean square, weighted', () => {
  fc.assert(
    fc.property(size(40), size(300), fc.nat(), (n, h, seed) => {
      const [x, delta] = [normal(seed, n, h), normal(seed + 1, n, h)];
      const weight = normal(seed + 2, h);
      const { sum, normed } = scope(() => {
        const [stream, added, gain] = [x, delta, weight].map(({ data, shape }) => Tensor.from(data, shape));
        const result = addRmsNorm(undefined, stream, added, { weight: gain }, 1e-6, 'f32');
        return { sum: result.sum.floats(), normed: result.normed.floats() };
      });
      expect(sum).toEqual(x.data.map((value, i) => value + delta.data[i]));
      expect(largestError(normed, (i, j) => normOf(sum, i * h, h, 1e-6)(j) * weight.data[j], h)).toBeLessThan(2e-6);
    }),
    { numRuns: 30 },
  );
});

test('queries and keys are normed head by head, then their halves turned by the angle of the position', () => {
  const [heads, kvHeads, positions] = [3, 2, 7];
  fc.assert(
    fc.property(size(9), fc.constantFrom(2, 6, 32, 40, 128), fc.nat(), (n, d, seed) => {
      const qkv = normal(seed, n, (heads + 2 * kvHeads) * d);
      const [query, key, table] = [normal(seed + 1, d), normal(seed + 2, d), normal(seed + 3, positions, d)];
      const at = Int32Array.from({ length: n }, (_, i) => (i * 5) % positions);
      const width = (heads + kvHeads) * d;
      const y = scope(() => {
        const [input, q, k, angles] = [qkv, query, key, table].map(({ data, shape }) => Tensor.from(data, shape));
        const shape = { heads, kvHeads, epsilon: 1e-6 };
        return qkNormRope(
          undefined,
          input,
          { query: { weight: q }, key: { weight: k } },
          angles,
          Tensor.from(at),
          shape,
        ).floats();
      });
      const expected = (row: number, column: number) => {
        const [head, j] = [Math.floor(column / d), column % d];
        const norm = normOf(qkv.data, row * qkv.shape[1] + head * d, d, 1e-6);
        const weight = (head < heads ? query : key).data;
        const [half, pair] = [d / 2, j % (d / 2)];
        const [cos, sin] = [table.data[at[row] * d + pair], table.data[at[row] * d + half + pair]];
        const [low, high] = [pair, half + pair].map(k => norm(k) * weight[k]);
        return j < half ? low * cos - high * sin : high * cos + low * sin;
      };
      expect(largestError(y, expected, width)).toBeLessThan(4e-6);
    }),
    { numRuns: 30 },
  );
});

test('swiglu is gate · σ(gate) · up', () => {
  fc.assert(
    fc.property(size(9), size(200), fc.constantFrom(1, 40), fc.nat(), (n, m, scale, seed) => {
      const data = normal(seed, n, 2 * m).data.map(value => value * scale);
      const y = scope(() => swiglu(undefined, Tensor.from(data, [n, 2 * m])).floats());
      const expected = (row: number, column: number) => {
        const [gate, up] = [data[row * 2 * m + column], data[row * 2 * m + m + column]];
        return (gate / (1 + Math.exp(-gate))) * up;
      };
      expect(largestError(y, expected, m)).toBeLessThan(2e-6);
    }),
    { numRuns: 30 },
  );
});
