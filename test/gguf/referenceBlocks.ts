import type { TensorTypeName } from '../../src/gguf/tensorTypes.ts';
import { tensorTypes } from '../../src/gguf/tensorTypes.ts';
import { fromBf16, fromF16 } from '../../src/model/dtype.ts';

/** As `dequantize`, value by value: what the kernels must give, bit for bit. */
export function referenceDequantize(type: TensorTypeName, from: Uint8Array, to: Float32Array): void {
  const { values, bytes } = tensorTypes[type];
  const view = new DataView(from.buffer, from.byteOffset, from.byteLength);
  for (let block = 0; block * values < to.length; block++) decoders[type](view, block * bytes, to, block * values);
}

type Decode = (from: DataView, at: number, to: Float32Array, first: number) => void;

const decoders: Record<TensorTypeName, Decode> = {
  F32: (from, at, to, first) => {
    to[first] = from.getFloat32(at, true);
  },
  F16: (from, at, to, first) => {
    to[first] = half(from, at);
  },
  BF16: (from, at, to, first) => {
    bits16[0] = from.getUint16(at, true);
    fromBf16(bits16, bits32);
    to[first] = float32[0];
  },
  Q8_0: (from, at, to, first) => {
    const scale = half(from, at);
    for (let i = 0; i < 32; i++) to[first + i] = scale * from.getInt8(at + 2 + i);
  },
  Q4_0: (from, at, to, first) => {
    const scale = half(from, at);
    for (let i = 0; i < 16; i++) {
      const pair = from.getUint8(at + 2 + i);
      to[first + i] = scale * ((pair & 15) - 8);
      to[first + 16 + i] = scale * ((pair >> 4) - 8);
    }
  },
  Q4_1: (from, at, to, first) => {
    const [scale, least] = [half(from, at), half(from, at + 2)];
    for (let i = 0; i < 16; i++) {
      const pair = from.getUint8(at + 4 + i);
      to[first + i] = scale * (pair & 15) + least;
      to[first + 16 + i] = scale * (pair >> 4) + least;
    }
  },
  // Eight runs of 32, whose scales and least values have 6 bits each.
  Q4_K: (from, at, to, first) => {
    const [scale, least] = [half(from, at), half(from, at + 2)];
    const six = (index: number) => from.getUint8(at + 4 + index);
    for (let run = 0; run < 8; run++) {
      const own = run < 4 ? six(run) & 63 : (six(run + 4) & 15) | ((six(run - 4) >> 6) << 4);
      const ownLeast = run < 4 ? six(run + 4) & 63 : (six(run + 4) >> 4) | ((six(run) >> 6) << 4);
      const bytes = at + 16 + (run >> 1) * 32;
      for (let i = 0; i < 32; i++) {
        const pair = from.getUint8(bytes + i);
        to[first + run * 32 + i] = scale * own * (run & 1 ? pair >> 4 : pair & 15) - least * ownLeast;
      }
    }
  },
  // Sixteen runs of 16; four low bits of each value are in one place, its two high bits in another.
  Q6_K: (from, at, to, first) => {
    const scale = half(from, at + 208);
    for (let i = 0; i < 256; i++) {
      const [side, quarter, place] = [i >> 7, (i >> 5) & 3, i & 31];
      const low = from.getUint8(at + side * 64 + (quarter & 1) * 32 + place);
      const high = from.getUint8(at + 128 + side * 32 + place) >> (quarter * 2);
      const value = ((quarter & 2 ? low >> 4 : low & 15) | ((high & 3) << 4)) - 32;
      to[first + i] = scale * from.getInt8(at + 192 + (i >> 4)) * value;
    }
  },
};

const bits16 = new Uint16Array(1);
const bits32 = new Uint32Array(1);
const float32 = new Float32Array(bits32.buffer);

function half(from: DataView, at: number): number {
  bits16[0] = from.getUint16(at, true);
  fromF16(bits16, bits32);
  return float32[0];
}
