import type { ModelConfig } from '../model/config.ts';
import { elements, type StoredTensor } from '../model/safetensors.ts';
import { storedBytes } from './tensorTypes.ts';

/**
 * Rotary embeddings turn pairs of a head's dimensions. Hugging Face's are i and i + d/2; for llama.cpp's first family they are
 * neighbours, 2i and 2i + 1, and its files hold the rows of q and k in that order.
 */

/** A tensor of a GGUF file in Hugging Face's order. */
export function inHalves(tensor: StoredTensor, config: ModelConfig): StoredTensor {
  return reordered(tensor, config, neighbourOf);
}

/** A tensor of a checkpoint in llama.cpp's order. */
export function inNeighbours(tensor: StoredTensor, config: ModelConfig): StoredTensor {
  return reordered(tensor, config, halfOf);
}

/** Where the row stands among a head's d in llama.cpp that is row `index` in Hugging Face's order. */
function neighbourOf(index: number, d: number): number {
  return index < d / 2 ? 2 * index : 2 * (index - d / 2) + 1;
}

function halfOf(index: number, d: number): number {
  return (index >> 1) + (index & 1 ? d / 2 : 0);
}

/** @param source of each of a head's rows, in the order that it has now */
function reordered(
  tensor: StoredTensor,
  { family, headDim }: ModelConfig,
  source: (index: number, headDim: number) => number,
): StoredTensor {
  if (!family.gguf.rotatesNeighbours || !/\.self_attn\.[qk]_proj\./.test(tensor.name)) return tensor;
  const rows = tensor.shape[0];
  const width = elements(tensor.shape) / rows;
  const sourceOf = (row: number) => row - (row % headDim) + source(row % headDim, headDim);
  const { blocks } = tensor;
  return {
    ...tensor,
    blocks: blocks && {
      type: blocks.type,
      readRows(first, into) {
        const bytes = storedBytes(blocks.type, width);
        for (let at = 0, row = first; at < into.length; at += bytes, row++)
          blocks.readRows(sourceOf(row), into.subarray(at, at + bytes));
      },
    },
    read(into = new Float32Array(rows * width)) {
      const values = tensor.read();
      for (let row = 0; row < rows; row++) {
        const from = sourceOf(row);
        into.set(values.subarray(from * width, (from + 1) * width), row * width);
      }
      return into;
    },
  };
}
