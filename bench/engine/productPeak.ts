import { native } from '../../src/tensor/native.ts';
import { linear } from '../../src/tensor/ops.ts';
import { PackedWeight, scope, Tensor } from '../../src/tensor/tensor.ts';

/** Floating-point operations a second of the packed matrix product alone, at the size of the model's own products: the peak. */
export function productPeak(dtype: 'f32' | 'bf16' = native.cpu().bf16 ? 'bf16' : 'f32'): number {
  const [rows, columns, outputs] = [2048, 1024, 3072];
  return scope(() => {
    const weight = PackedWeight.of(noise(outputs, columns, 'f32'), dtype, 'forward');
    const x = noise(rows, columns, dtype);
    const seconds = Array.from({ length: 15 }, () => {
      const start = performance.now();
      linear(undefined, x, { forward: weight }).free();
      return (performance.now() - start) / 1000;
    });
    return (2 * rows * columns * outputs) / median(seconds);
  });
}

function noise(rows: number, columns: number, dtype: 'f32' | 'bf16'): Tensor {
  return Tensor.from(
    Float32Array.from({ length: rows * columns }, () => Math.random() - 0.5),
    [rows, columns],
    dtype,
  );
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
