import { normal } from './gradientCheck.ts';

/** Products as models make them, each of another kind. */
export const productShapes = [
  { product: "q, k and v of Qwen3-0.6B, and a chunk of its head's vocabulary", columns: 1024, rows: 4096 },
  { product: "what is left of that head's vocabulary", columns: 1024, rows: 384 },
  { product: "Qwen3-0.6B's attention output", columns: 2048, rows: 1024 },
  { product: "Qwen3-0.6B's gate and up", columns: 1024, rows: 6144 },
  { product: "Qwen3-0.6B's down", columns: 3072, rows: 1024 },
  { product: "the demo's q, k and v", columns: 96, rows: 256 },
  { product: "the demo's attention output", columns: 128, rows: 96 },
  { product: "the demo's gate and up", columns: 96, rows: 512 },
  { product: "the demo's down", columns: 256, rows: 96 },
  { product: 'a vocabulary of no round size', columns: 96, rows: 517 },
  { product: 'widths that leave part of a register', columns: 160, rows: 40 },
  { product: 'odd widths', columns: 37, rows: 161 },
];

const { data } = normal(1, 6144 * 1024 + 10_000);

/** Normal numbers in a shape, the same every time for a `seed`. */
export function numbers(seed: number, ...shape: number[]) {
  const first = seed * 101;
  return { data: data.subarray(first, first + shape.reduce((a, b) => a * b, 1)), shape };
}
