/** How GGML stores a tensor's values: runs of `values` numbers in `bytes` bytes each, under its number in the file. */
export interface TensorType {
  id: number;
  values: number;
  bytes: number;
}

/** https://github.com/ggml-org/ggml/blob/master/include/ggml.h */
export const tensorTypes = {
  F32: { id: 0, values: 1, bytes: 4 },
  F16: { id: 1, values: 1, bytes: 2 },
  Q4_0: { id: 2, values: 32, bytes: 18 },
  Q4_1: { id: 3, values: 32, bytes: 20 },
  Q8_0: { id: 8, values: 32, bytes: 34 },
  Q4_K: { id: 12, values: 256, bytes: 144 },
  Q6_K: { id: 14, values: 256, bytes: 210 },
  BF16: { id: 30, values: 1, bytes: 2 },
} satisfies Record<string, TensorType>;

export type TensorTypeName = keyof typeof tensorTypes;

export const tensorTypeNames = Object.keys(tensorTypes) as TensorTypeName[];

/** Bytes of so many values, which fill whole runs. */
export function storedBytes(type: TensorTypeName, values: number): number {
  return (values / tensorTypes[type].values) * tensorTypes[type].bytes;
}
