import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { dequantize, quantizeQ8 } from '../../src/gguf/blocks.ts';
import { readGgufHeader } from '../../src/gguf/header.ts';
import { storedBytes, type TensorTypeName } from '../../src/gguf/tensorTypes.ts';
import { Random } from '../../src/random.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const [one, half, two] = [0x3c00, 0x3800, 0x4000];

/** The values of one block, whose bytes are given from its start. */
function valuesOf(type: TensorTypeName, count: number, write: (view: DataView) => void): number[] {
  const bytes = new Uint8Array(storedBytes(type, count));
  write(new DataView(bytes.buffer));
  const values = new Float32Array(count);
  dequantize(type, bytes, values);
  return [...values];
}

test('q8_0 keeps every value within half a step of its block', () => {
  fc.assert(
    fc.property(fc.array(fc.float({ noNaN: true, min: -1e4, max: 1e4 }), { minLength: 64, maxLength: 64 }), list => {
      const values = Float32Array.from(list);
      const bytes = new Uint8Array(storedBytes('Q8_0', 64));
      quantizeQ8(values, bytes);
      const back = new Float32Array(64);
      dequantize('Q8_0', bytes, back);
      for (let i = 0; i < 64; i++) {
        const block = values.subarray(i - (i % 32), i - (i % 32) + 32);
        const step = Math.max(...block.map(Math.abs)) / 127;
        // The step itself is rounded to a half: 127 times 2^-11 of it, or 2^-25 where it is smaller than normal halves.
        expect(Math.abs(back[i] - values[i])).toBeLessThanOrEqual(step * (0.5 + 127 / 2 ** 11) + 127 / 2 ** 25);
      }
    }),
  );
});

test('q4_0: low halves of the bytes first, then high ones, around 8', () => {
  const values = valuesOf('Q4_0', 32, view => {
    view.setUint16(0, half, true);
    for (let i = 0; i < 16; i++) view.setUint8(2 + i, i | ((15 - i) << 4));
  });
  expect(values).toEqual(Array.from({ length: 32 }, (_, i) => 0.5 * ((i < 16 ? i : 31 - i) - 8)));
});

test('q4_1: above a least value', () => {
  const values = valuesOf('Q4_1', 32, view => {
    view.setUint16(0, half, true);
    view.setUint16(2, two, true);
    for (let i = 0; i < 16; i++) view.setUint8(4 + i, i | ((15 - i) << 4));
  });
  expect(values).toEqual(Array.from({ length: 32 }, (_, i) => 0.5 * (i < 16 ? i : 31 - i) + 2));
});

test('q4_k: scales and least values of 6 bits for eight runs', () => {
  const scales = [1, 2, 3, 63, 20, 33, 48, 63];
  const leasts = [0, 5, 63, 7, 18, 40, 0, 63];
  const values = valuesOf('Q4_K', 256, view => {
    view.setUint16(0, one, true);
    view.setUint16(2, half, true);
    for (let j = 0; j < 4; j++) {
      view.setUint8(4 + j, scales[j] | ((scales[j + 4] >> 4) << 6));
      view.setUint8(8 + j, leasts[j] | ((leasts[j + 4] >> 4) << 6));
      view.setUint8(12 + j, (scales[j + 4] & 15) | ((leasts[j + 4] & 15) << 4));
    }
    for (let i = 0; i < 128; i++) view.setUint8(16 + i, (i % 16) | (((i + 3) % 16) << 4));
  });
  const expected = Array.from({ length: 256 }, (_, i) => {
    const run = i >> 5;
    const place = i % 32;
    const bits = run % 2 ? (place + 3) % 16 : place % 16;
    return scales[run] * bits - 0.5 * leasts[run];
  });
  expect(values).toEqual(expected);
});

test('q6_k: four low bits here, two high bits there, a scale for each 16', () => {
  const wanted = Array.from({ length: 256 }, (_, i) => ((i * 37) % 64) - 32);
  const scales = Array.from({ length: 16 }, (_, i) => i * 5 - 40);
  const values = valuesOf('Q6_K', 256, view => {
    for (let i = 0; i < 256; i++) {
      const bits = wanted[i] + 32;
      const [side, quarter, place] = [Math.floor(i / 128), Math.floor((i % 128) / 32), i % 32];
      const low = side * 64 + (quarter % 2) * 32 + place;
      const high = 128 + side * 32 + place;
      view.setUint8(low, view.getUint8(low) | ((bits % 16) << (quarter < 2 ? 0 : 4)));
      view.setUint8(high, view.getUint8(high) | ((bits >> 4) << (2 * quarter)));
    }
    for (const [i, scale] of scales.entries()) view.setInt8(192 + i, scale);
    view.setUint16(208, half, true);
  });
  expect(values.map(value => value + 0)).toEqual(
    wanted.map((value, i) => 0.5 * scales[Math.floor(i / 16)] * value + 0),
  );
});

test('a damaged header is refused, whatever is wrong with it', () => {
  const text = (value: string) => Buffer.concat([u64(value.length), Buffer.from(value)]);
  const u64 = (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes;
  };
  const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
  const head = [Buffer.from('GGUF'), u32(3), u64(1), u64(2)];
  const metadata = [
    text('general.architecture'),
    u32(8),
    text('qwen3'),
    text('list'),
    u32(9),
    u32(4),
    u64(3),
    u32(1),
    u32(2),
    u32(3),
  ];
  const tensor = [text('token_embd.weight'), u32(2), u64(32), u64(4), u32(0), u64(0)];
  const whole = Buffer.concat([...head, ...metadata, ...tensor, Buffer.alloc(700)]);
  const file = join(temporaryFolder(), 'model.gguf');
  writeFileSync(file, whole);
  expect(readGgufHeader(file).tensors).toMatchObject([{ name: 'token_embd.weight', shape: [4, 32], type: 'F32' }]);
  const random = Random.of('mutations');
  let refused = 0;
  for (let i = 0; i < 400; i++) {
    const bytes = Buffer.from(whole.subarray(0, i % 4 === 0 ? random.below(whole.length) : whole.length));
    for (let n = 0; n <= random.below(3) && bytes.length > 0; n++)
      bytes[random.below(Math.min(bytes.length, 250))] = random.below(256);
    writeFileSync(file, bytes);
    try {
      readGgufHeader(file);
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(150);
});
