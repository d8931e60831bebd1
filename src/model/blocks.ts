import { storedBytes, tensorTypes } from '../gguf/tensorTypes.ts';
import { BlockMatrix } from '../tensor/tensor.ts';
import { elements, type StoredBlocks, type StoredTensor } from './safetensors.ts';

/** A matrix of a file that stores it in blocks of few bits. */
type InBlocks = StoredTensor & { blocks: StoredBlocks };

export function isInBlocks(tensor: StoredTensor): tensor is InBlocks {
  return tensor.blocks !== undefined;
}

/** Bytes of a model's matrices where those that are stored in blocks stay in them; undefined where none are. */
export function bytesInBlocks(tensors: readonly StoredTensor[], dtype: 'f32' | 'bf16'): number | undefined {
  if (!tensors.some(isInBlocks)) return undefined;
  const whole = dtype === 'bf16' ? 2 : 4;
  return tensors.reduce((sum, { blocks, shape }) => {
    return sum + (blocks ? storedBytes(blocks.type, elements(shape)) : whole * elements(shape));
  }, 0);
}

const readBytes = 4 << 20;

/** Puts matrices, one below another, into native memory as their file stores them. @param dtype what values are rounded to */
export function readBlocks(tensors: readonly InBlocks[], dtype: 'f32' | 'bf16'): BlockMatrix {
  const columns = tensors[0].shape[1];
  const parts = tensors.map(({ blocks, shape }) => ({ type: tensorTypes[blocks.type].id, rows: shape[0] }));
  const matrix = BlockMatrix.allocate(dtype, columns, parts);
  let above = 0;
  for (const { blocks, shape } of tensors) {
    const rowBytes = storedBytes(blocks.type, columns);
    const rows = Math.max(1, Math.floor(readBytes / rowBytes));
    const buffer = new Uint8Array(rows * rowBytes);
    for (let first = 0; first < shape[0]; first += rows) {
      const part = buffer.subarray(0, (shape[0] - first) * rowBytes);
      blocks.readRows(first, part);
      matrix.write(above + first, part);
    }
    above += shape[0];
  }
  return matrix;
}
