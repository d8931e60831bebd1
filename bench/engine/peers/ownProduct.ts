import { native } from '../../../src/tensor/cpu/native.ts';
import { linear } from '../../../src/tensor/ops.ts';
import { PackedWeight, scope, Tensor } from '../../../src/tensor/tensor.ts';
import { median } from '../median.ts';
import type { Precision, Product } from '../product.ts';

/** Floating-point operations a second of this project's packed matrix product alone. */
export function ownProduct({ rows, inner, columns }: Product, precision: Precision): number {
  return scope(() => {
    const weight = PackedWeight.of(noise(columns, inner, 'f32'), precision, 'forward');
    const x = noise(rows, inner, precision);
    return operations(rows * inner * columns, () => linear(undefined, x, { forward: weight }).free());
  });
}

/** The same of the gradient of such a weight, which is added to one that is there. */
export function ownWeightGradient({ rows, inner, columns }: Product, precision: Precision): number {
  return scope(() => {
    const gradient = Tensor.zeros('f32', [columns, inner]);
    const [dy, x] = [noise(rows, columns, precision), noise(rows, inner, precision)];
    return operations(rows * inner * columns, () => native().linearWeightGrad(gradient.id, dy.id, x.id, true));
  });
}

/** A second, of so many multiplications and as many additions. */
function operations(multiplications: number, multiply: () => void): number {
  const seconds = Array.from({ length: 11 }, () => {
    const start = performance.now();
    multiply();
    return (performance.now() - start) / 1000;
  });
  return (2 * multiplications) / median(seconds.slice(2));
}

function noise(rows: number, columns: number, dtype: Precision): Tensor {
  return Tensor.from(
    Float32Array.from({ length: rows * columns }, () => Math.random() - 0.5),
    [rows, columns],
    dtype,
  );
}
