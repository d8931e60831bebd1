/** What the engine multiplies. */
export type Precision = 'f32' | 'bf16';

/** A matrix of `rows` × `inner` times one of `inner` × `columns`. */
export interface Product {
  rows: number;
  inner: number;
  columns: number;
}

/** The largest products of a layer of Qwen3-0.6B, for 2048 tokens. */
export const largeProducts: readonly Product[] = [
  { rows: 2048, inner: 1024, columns: 3072 },
  { rows: 2048, inner: 3072, columns: 1024 },
];

/** One of a demo-sized model's, for an update's tokens. */
export const smallProduct: Product = { rows: 16384, inner: 128, columns: 384 };
