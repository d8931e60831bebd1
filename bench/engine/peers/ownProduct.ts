import { linear } from '../../../src/tensor/ops.ts';
import { PackedWeight, scope, Tensor } from '../../../src/tensor/tensor.ts';
import { median } from '../median.ts';
import type { Precision, Product } from '../product.ts';

/** Floating-point operations a second of this project's packed matrix product alone. */
export function ownProduct({ rows, inner, columns }: Product, precision: Precision): number {
  return scope(() => {
    const weight = PackedWeight.of(noise(columns, inner, 'f32'), precision, 'forward');
    const x = noise(rows, inner, precision);
    const seconds = Array.from({ length: 11 }, () => {
      const start = performance.now();
      linear(undefined, x, { forward: weight }).free();
      return (performance.now() - start) / 1000;
    });
    return (2 * rows * inner * columns) / median(seconds.slice(2));
  });
}

function noise(rows: number, columns: number, dtype: Precision): Tensor {
  return Tensor.from(
    Float32Array.from({ length: rows * columns }, () => Math.random() - 0.5),
    [rows, columns],
    dtype,
  );
}
