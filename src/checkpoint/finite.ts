import { UserError } from '../errors.ts';
import { firstInfinite } from '../gguf/blocks.ts';
import type { StoredTensor } from '../model/safetensors.ts';

/** The same tensor, whose values are read only where all are numbers. @param path of what it is part of, for the message */
export function finite(path: string, tensor: StoredTensor): StoredTensor {
  const { name, shape, blocks } = tensor;
  const refuse = (at: number, value: number) => {
    throw new UserError(
      `${path}: value ${at} of tensor ${name} is ${value}: its training failed, or the file is damaged; ` +
        'take an earlier checkpoint, or download it again',
    );
  };
  return {
    ...tensor,
    read(into) {
      const values = tensor.read(into);
      const found = firstInfinite('F32', new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      if (found) refuse(found.at, found.value);
      return values;
    },
    blocks: blocks && {
      type: blocks.type,
      readRows(first, into) {
        blocks.readRows(first, into);
        const found = firstInfinite(blocks.type, into);
        if (found) refuse(first * shape[1] + found.at, found.value);
      },
    },
  };
}
