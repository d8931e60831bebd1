/** Values in blocks of few bits with a scale each, as GGML stores them (ggml-quants.c), to float32 and back. */
import { toF16 } from '../model/dtype.ts';
import { native } from '../tensor/native.ts';
import { type TensorTypeName, tensorTypes } from './tensorTypes.ts';

/** `to` becomes the values that `from` stores; both are whole blocks. */
export function dequantize(type: TensorTypeName, from: Uint8Array, to: Float32Array): void {
  native.dequantize(tensorTypes[type].id, from, to);
}

/** The first of the values in whole blocks that is no finite number, and where it stands. */
export function firstInfinite(type: TensorTypeName, blocks: Uint8Array): { at: number; value: number } | undefined {
  const at = native.firstInfinite(tensorTypes[type].id, blocks);
  if (at < 0) return undefined;
  const { values, bytes } = tensorTypes[type];
  const block = Math.floor(at / values);
  const decoded = new Float32Array(values);
  dequantize(type, blocks.subarray(block * bytes, (block + 1) * bytes), decoded);
  return { at, value: decoded[at - block * values] };
}

/** Nearest multiples of each block's largest value / 127 (quantize_row_q8_0_ref of ggml-quants.c). */
export function quantizeQ8(from: Float32Array, to: Uint8Array): void {
  const { values, bytes } = tensorTypes.Q8_0;
  const view = new DataView(to.buffer, to.byteOffset, to.byteLength);
  const multiples = new Int8Array(to.buffer, to.byteOffset, to.byteLength);
  for (let first = 0, at = 0; first < from.length; first += values, at += bytes) {
    let largest = 0;
    for (let i = first; i < first + values; i++) {
      const size = Math.abs(from[i]);
      if (size > largest) largest = size;
    }
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    view.setUint16(at, halfBits(scale), true);
    for (let i = 0; i < values; i++) {
      const multiple = Math.fround(from[first + i] * inverse);
      multiples[at + 2 + i] = multiple < 0 ? multiple - 0.5 : multiple + 0.5; // the rest is cut off: halves go outwards
    }
  }
}

const bits16 = new Uint16Array(1);
const bits32 = new Uint32Array(1);
const float32 = new Float32Array(bits32.buffer);

function halfBits(value: number): number {
  float32[0] = value;
  toF16(bits32, bits16);
  return bits16[0];
}
