/** The number formats of a checkpoint, and their exact conversion from and to the bits of a float32. */

export type Dtype = 'F32' | 'F16' | 'BF16';

export const bytesPerElement: Record<Dtype, number> = { F32: 4, F16: 2, BF16: 2 };

/** `to[i]` becomes the float32 bits of the bfloat16 bits `from[i]`. */
export function fromBf16(from: Uint16Array, to: Uint32Array): void {
  for (let i = 0; i < from.length; i++) to[i] = from[i] << 16;
}

/** Rounds to nearest, ties to even; what came from a bfloat16 returns to the same bits. */
export function toBf16(from: Uint32Array, to: Uint16Array): void {
  for (let i = 0; i < from.length; i++) {
    const bits = from[i];
    if ((bits & 0x7fffffff) > 0x7f800000) to[i] = nanBits(bits >>> 16, 0x7f);
    else to[i] = (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
  }
}

/** `to[i]` becomes the float32 bits of the IEEE half-precision bits `from[i]`. */
export function fromF16(from: Uint16Array, to: Uint32Array): void {
  f16Table ??= Uint32Array.from({ length: 0x10000 }, (_, bits) => f16ToF32Bits(bits));
  const table = f16Table;
  for (let i = 0; i < from.length; i++) to[i] = table[from[i]];
}

/** Rounds to nearest, ties to even, too large becomes infinite; what came from a half returns to the same bits. */
export function toF16(from: Uint32Array, to: Uint16Array): void {
  for (let i = 0; i < from.length; i++) {
    const sign = (from[i] >>> 16) & 0x8000;
    const magnitude = from[i] & 0x7fffffff;
    if (magnitude > 0x7f800000) to[i] = sign | nanBits(0x7c00 | ((magnitude >>> 13) & 0x3ff), 0x3ff);
    else if (magnitude >= 0x47800000) to[i] = sign | 0x7c00;
    else if (magnitude >= 0x38800000) {
      to[i] = sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    } else to[i] = sign | subnormalF16(magnitude);
  }
}

let f16Table: Uint32Array | undefined;

function f16ToF32Bits(bits: number): number {
  const sign = (bits & 0x8000) << 16;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

/** A float32 below 2^-14, given by its bits without sign, as a multiple of 2^-24. */
function subnormalF16(magnitude: number): number {
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return 0;
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const floor = significand >>> shift;
  const rest = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return rest > half || (rest === half && floor & 1) ? floor + 1 : floor;
}

/** Cutting the fraction must not turn NaN into infinity. */
function nanBits(bits: number, fractionMask: number): number {
  return bits & fractionMask ? bits : bits | ((fractionMask + 1) >>> 1);
}
