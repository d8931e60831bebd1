import type { StoredFactors } from '../model/lora.ts';
import type { StoredTensor } from '../model/safetensors.ts';
import { device, hasDevice } from '../tensor/currentDevice.ts';
import { scope, Tensor } from '../tensor/tensor.ts';
import { moduleOf, readFactors } from './adapter.ts';

/**
 * A model's tensors with an adapter merged into them: W + scale · B A (Hu et al. 2021).
 * @param folder of the adapter
 * @throws UserError where the adapter is damaged, changes what this model has not, or is more than two factors a matrix
 */
export function mergeAdapter(tensors: readonly StoredTensor[], folder: string): StoredTensor[] {
  return mergeFactors(tensors, readFactors(folder, new Map(tensors.map(({ name, shape }) => [name, shape]))));
}

/** The same with factors that are there, by their modules. */
export function mergeFactors(
  tensors: readonly StoredTensor[],
  factors: ReadonlyMap<string, StoredFactors>,
): StoredTensor[] {
  return tensors.map(tensor => {
    const own = factors.get(moduleOf(tensor.name));
    return own ? { ...tensor, blocks: undefined, read: () => product(tensor, own) } : tensor;
  });
}

/** `weight` [out, in] + scale · `b` [out, r] · `a` [r, in] */
function product(weight: StoredTensor, { a, b, scale }: StoredFactors): Float32Array<ArrayBuffer> {
  const [rank] = a.shape;
  const [out] = weight.shape;
  const left = b.read();
  const scaled = Float32Array.from(
    { length: rank * out },
    (_, i) => scale * left[(i % out) * rank + Math.floor(i / out)],
  );
  if (!hasDevice()) return added(weight.read(), scaled, a.read(), rank);
  return scope(() => {
    const sum = Tensor.from(weight.read(), weight.shape);
    device().linearWeightGrad(sum.id, Tensor.from(scaled, [rank, out]).id, Tensor.from(a.read(), a.shape).id, true);
    return sum.floats() as Float32Array<ArrayBuffer>;
  });
}

/** The same, 25 times slower (Zen 4), where nothing else computes. */
function added(
  sum: Float32Array<ArrayBuffer>,
  left: Float32Array,
  right: Float32Array,
  rank: number,
): Float32Array<ArrayBuffer> {
  const [out, columns] = [left.length / rank, right.length / rank];
  for (let row = 0; row < out; row++) {
    const of = sum.subarray(row * columns, (row + 1) * columns);
    for (let k = 0; k < rank; k++) {
      const factor = left[k * out + row];
      const from = right.subarray(k * columns, (k + 1) * columns);
      for (let j = 0; j < columns; j++) of[j] += factor * from[j];
    }
  }
  return sum;
}
