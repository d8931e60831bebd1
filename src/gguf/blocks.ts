/** Values in blocks of few bits with a scale each, as GGML stores them (ggml-quants.c), to float32 and back. */
import { fromBf16, fromF16, toF16 } from '../model/dtype.ts';
import { type TensorTypeName, tensorTypes } from './tensorTypes.ts';

/** `to` becomes the values that `from` stores; both are whole blocks. */
export function dequantize(type: TensorTypeName, from: Uint8Array, to: Float32Array): void {
  decoders[type](from, to);
}

/** The first of the values in whole blocks that is no finite number, and where it stands. */
export function firstInfinite(type: TensorTypeName, blocks: Uint8Array): { at: number; value: number } | undefined {
  const at = type === 'F32' ? firstInfiniteFloat(words(blocks, Float32Array)) : firstInfiniteBlock(type, blocks);
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

/** Every product below has few enough bits to be exact, so that only the last sum is rounded. */
const decoders: Record<TensorTypeName, (from: Uint8Array, to: Float32Array) => void> = {
  F32: (from, to) => to.set(words(from, Float32Array)),
  F16: (from, to) => fromF16(words(from, Uint16Array), bitsOf(to)),
  BF16: (from, to) => fromBf16(words(from, Uint16Array), bitsOf(to)),
  Q8_0(from, to) {
    const signed = signedOf(from);
    for (let first = 0, at = 0; first < to.length; first += 32, at += 34) {
      const scale = half(from, at);
      for (let i = 0; i < 32; i++) to[first + i] = scale * signed[at + 2 + i];
    }
  },
  Q4_0(from, to) {
    for (let first = 0, at = 0; first < to.length; first += 32, at += 18) {
      const scale = half(from, at);
      for (let i = 0; i < 16; i++) {
        const pair = from[at + 2 + i];
        to[first + i] = scale * ((pair & 15) - 8);
        to[first + 16 + i] = scale * ((pair >> 4) - 8);
      }
    }
  },
  Q4_1(from, to) {
    for (let first = 0, at = 0; first < to.length; first += 32, at += 20) {
      const scale = half(from, at);
      const least = half(from, at + 2);
      for (let i = 0; i < 16; i++) {
        const pair = from[at + 4 + i];
        to[first + i] = scale * (pair & 15) + least;
        to[first + 16 + i] = scale * (pair >> 4) + least;
      }
    }
  },
  // Eight runs of 32, whose scales and least values have 6 bits each.
  Q4_K(from, to) {
    for (let first = 0, at = 0; first < to.length; first += 256, at += 144) {
      const scale = half(from, at);
      const least = half(from, at + 2);
      const sixes = at + 4;
      for (let run = 0; run < 8; run++) {
        const [six, other] = [from[sixes + run], from[sixes + run + 4]];
        const own = run < 4 ? six & 63 : (other & 15) | ((from[sixes + run - 4] >> 6) << 4);
        const ownLeast = run < 4 ? other & 63 : (other >> 4) | ((six >> 6) << 4);
        const factor = scale * own;
        const below = least * ownLeast;
        const pairs = at + 16 + (run >> 1) * 32;
        const shift = (run & 1) * 4;
        for (let i = 0; i < 32; i++) to[first + run * 32 + i] = factor * ((from[pairs + i] >> shift) & 15) - below;
      }
    }
  },
  // Sixteen runs of 16; four low bits of each value are in one place, its two high bits in another.
  Q6_K(from, to) {
    const signed = signedOf(from);
    for (let first = 0, at = 0; first < to.length; first += 256, at += 210) {
      const scale = half(from, at + 208);
      for (let run = 0; run < 16; run++) {
        const [side, quarter, place] = [run >> 3, (run >> 1) & 3, (run & 1) * 16];
        const low = at + side * 64 + (quarter & 1) * 32 + place;
        const high = at + 128 + side * 32 + place;
        const [lowShift, highShift] = [(quarter >> 1) * 4, quarter * 2];
        const factor = scale * signed[at + 192 + run];
        for (let i = 0; i < 16; i++) {
          const value = ((from[low + i] >> lowShift) & 15) | (((from[high + i] >> highShift) & 3) << 4);
          to[first + run * 16 + i] = factor * (value - 32);
        }
      }
    }
  },
};

/** Which of a block's halves are its scale and its least value: its values are finite where these are. */
const halvesOf: Record<Exclude<TensorTypeName, 'F32'>, { at: number[]; exponent: number }> = {
  F16: { at: [0], exponent: 0x7c00 },
  BF16: { at: [0], exponent: 0x7f80 },
  Q8_0: { at: [0], exponent: 0x7c00 },
  Q4_0: { at: [0], exponent: 0x7c00 },
  Q4_1: { at: [0, 1], exponent: 0x7c00 },
  Q4_K: { at: [0, 1], exponent: 0x7c00 },
  Q6_K: { at: [104], exponent: 0x7c00 },
};

/** @returns -1 where there is none */
function firstInfiniteBlock(type: Exclude<TensorTypeName, 'F32'>, blocks: Uint8Array): number {
  const halves = words(blocks, Uint16Array);
  const stride = tensorTypes[type].bytes >> 1;
  const { at, exponent } = halvesOf[type];
  const found = at.flatMap(place => {
    for (let i = place; i < halves.length; i += stride) if ((halves[i] & exponent) === exponent) return [i - place];
    return [];
  });
  return found.length > 0 ? (Math.min(...found) / stride) * tensorTypes[type].values : -1;
}

const finiteRun = 4096;

function firstInfiniteFloat(values: Float32Array): number {
  for (let first = 0; first < values.length; first += finiteRun) {
    const run = values.subarray(first, first + finiteRun);
    if (!allFinite(run)) return first + run.findIndex(value => !Number.isFinite(value));
  }
  return -1;
}

/** Zero times anything else is NaN; four sums, since one would have to wait for itself. */
function allFinite(values: Float32Array): boolean {
  const whole = values.length & ~3;
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let i = 0; i < whole; i += 4) {
    a += values[i] * 0;
    b += values[i + 1] * 0;
    c += values[i + 2] * 0;
    d += values[i + 3] * 0;
  }
  for (let i = whole; i < values.length; i++) a += values[i] * 0;
  return a + b + c + d === 0;
}

type Words = Uint16Array | Float32Array;
interface WordsOf<T extends Words> {
  new (buffer: ArrayBufferLike, offset: number, length: number): T;
  readonly BYTES_PER_ELEMENT: number;
}

/** The same bytes, or where they do not lie as words do, a copy. */
function words<T extends Words>(bytes: Uint8Array, Kind: WordsOf<T>): T {
  const size = Kind.BYTES_PER_ELEMENT;
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return new Kind(buffer, byteOffset, bytes.length / size);
}

function bitsOf({ buffer, byteOffset, length }: Float32Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length);
}

function signedOf({ buffer, byteOffset, length }: Uint8Array): Int8Array {
  return new Int8Array(buffer, byteOffset, length);
}

const bits16 = new Uint16Array(1);
const bits32 = new Uint32Array(1);
const float32 = new Float32Array(bits32.buffer);

function half(from: Uint8Array, at: number): number {
  bits16[0] = from[at] | (from[at + 1] << 8);
  fromF16(bits16, bits32);
  return float32[0];
}

function halfBits(value: number): number {
  float32[0] = value;
  toF16(bits32, bits16);
  return bits16[0];
}
