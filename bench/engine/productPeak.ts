import { native } from '../../src/tensor/native.ts';
import { linear } from '../../src/tensor/ops.ts';
import { PackedWeight, scope, Tensor } from '../../src/tensor/tensor.ts';

/** Floating-point operations a second of the packed matrix product alone, at the size of the model's own products: the peak. */
export function productPeak(dtype: 'f32' | 'bf16' = native.cpu().bf16 ? 'bf16' : 'f32'): number {
  const [rows, columns, outputs] = [2048, 1024, 3072];
  return scope(() => {
    const weight = PackedWeight.of(Tensor.zeros('f32', [outputs, columns]), dtype, 'forward');
    const x = Tensor.zeros(dtype, [rows, columns]);
    const seconds = Array.from({ length: 15 }, () => {
      const start = performance.now();
      linear(undefined, x, { forward: weight }).free();
      return (performance.now() - start) / 1000;
    });
    return (2 * rows * columns * outputs) / median(seconds);
  });
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
