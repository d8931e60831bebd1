import { UserError } from '../errors.ts';
import type { StoredTensor } from '../model/safetensors.ts';

/** The same tensor, whose values are read only where all are numbers. */
export function finite(path: string, tensor: StoredTensor): StoredTensor {
  const read: StoredTensor['read'] = into => {
    const values = tensor.read(into);
    const at = firstInfinite(values);
    if (at === undefined) return values;
    throw new UserError(
      `${path}: value ${at} of tensor ${tensor.name} is ${values[at]}: its training failed, or the file is damaged; ` +
        'take an earlier checkpoint, or download it again',
    );
  };
  return { ...tensor, read };
}

/** Where the first value is that is no finite number. A plain loop: a model has a billion. */
function firstInfinite(values: Float32Array): number | undefined {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return i;
  return undefined;
}
