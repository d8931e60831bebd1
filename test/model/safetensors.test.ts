import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { type Dtype, fromBf16, fromF16, toBf16, toF16 } from '../../src/model/dtype.ts';
import { elements, SafetensorsFile, type StoredTensor, writeSafetensors } from '../../src/model/safetensors.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'sod-safetensors-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const all16 = Uint16Array.from({ length: 0x10000 }, (_, bits) => bits);
const formats = {
  F16: { widen: fromF16, narrow: toF16, infinity: 0x7c00, overflow: 65520 },
  BF16: { widen: fromBf16, narrow: toBf16, infinity: 0x7f80, overflow: 2 ** 128 * (1 - 2 ** -9) },
};

describe.each(Object.entries(formats))('%s', (_, { widen, narrow, infinity, overflow }) => {
  const bits = new Uint32Array(0x10000);
  widen(all16, bits);
  const values = new Float32Array(bits.buffer);
  const narrowed = (value: number) => {
    const to = new Uint16Array(1);
    narrow(new Uint32Array(Float32Array.of(value).buffer), to);
    return to[0];
  };

  it('returns to the same bits from float32, for all 65536 of them', () => {
    const back = new Uint16Array(0x10000);
    narrow(bits, back);
    expect(Buffer.from(back.buffer).equals(Buffer.from(all16.buffer))).toBe(true);
  });

  it('rounds to the nearest value, ties to even', () => {
    const below = fc.integer({ min: 0, max: infinity - 2 });
    fc.assert(
      fc.property(below, fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean(), (lower, fraction, negative) => {
        const sign = negative ? -1 : 1;
        const [a, b] = [values[lower], values[lower + 1]];
        const value = Math.fround(a + fraction * (b - a));
        const middle = (a + b) / 2;
        const expected = value < middle || (value === middle && lower % 2 === 0) ? lower : lower + 1;
        return narrowed(sign * value) === (negative ? expected + 0x8000 : expected);
      }),
    );
    for (let lower = 0; lower < infinity - 1; lower += 97) {
      const middle = Math.fround((values[lower] + values[lower + 1]) / 2);
      if (middle * 2 === values[lower] + values[lower + 1]) expect(narrowed(middle)).toBe(lower + (lower % 2));
    }
  });

  it('makes infinite what is too large, and keeps NaN a NaN', () => {
    expect(narrowed(overflow)).toBe(infinity);
    expect(narrowed(-Infinity)).toBe(infinity + 0x8000);
    const nan = new Uint16Array(1);
    narrow(Uint32Array.of(0x7f800001), nan);
    expect(nan[0]).toBeGreaterThan(infinity);
    expect(nan[0]).toBeLessThan(0x8000);
  });
});

it('reads half precision as IEEE 754 defines it', () => {
  const read = new Float32Array(6);
  fromF16(Uint16Array.of(0x0001, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff), new Uint32Array(read.buffer));
  expect([...read]).toEqual([2 ** -24, 1023 * 2 ** -24, 2 ** -14, 1, -2, 65504]);
});

function stored(name: string, dtype: Dtype, shape: number[], values: Float32Array<ArrayBuffer>): StoredTensor {
  return { name, dtype, shape, read: () => values };
}

describe('a safetensors file', () => {
  it('gives back names, dtypes, shapes and values', () => {
    const dtype = fc.constantFrom<Dtype>('F32', 'F16', 'BF16');
    const shape = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 });
    const tensors = fc.uniqueArray(fc.record({ name: fc.stringMatching(/^[a-z.é]{1,9}$/), dtype, shape }), {
      selector: tensor => tensor.name,
      maxLength: 6,
    });
    const path = join(dir, 'any.safetensors');
    fc.assert(
      fc.property(tensors, specs => {
        const written = specs.map(({ name, dtype, shape }, k) => {
          // Small integers and quarters: exact in all three dtypes.
          const values = Float32Array.from({ length: elements(shape) }, (_, i) => (i - 31) / 4 + k);
          return stored(name, dtype, shape, values);
        });
        writeSafetensors(path, written);
        const file = SafetensorsFile.open(path);
        const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
        const content = (list: Iterable<StoredTensor>) =>
          [...list].sort(byName).map(tensor => ({ ...tensor, read: [...tensor.read()] }));
        expect(content(file.tensors.values())).toEqual(content(written));
        file.close();
      }),
      { numRuns: 50 },
    );
  });

  it('converts tensors larger than one chunk, into the memory it is given', () => {
    const values = Float32Array.from({ length: 5_000_003 }, (_, i) => (i % 255) - 127);
    const path = join(dir, 'large.safetensors');
    const dtypes: Dtype[] = ['F32', 'F16', 'BF16'];
    writeSafetensors(
      path,
      dtypes.map(dtype => stored(dtype, dtype, [values.length], values)),
    );
    const file = SafetensorsFile.open(path);
    for (const dtype of dtypes) {
      const into = new Float32Array(values.length);
      file.tensors.get(dtype)!.read(into);
      expect(Buffer.compare(Buffer.from(into.buffer), Buffer.from(values.buffer))).toBe(0);
    }
    file.close();
  });

  it('is not left half-written when a tensor fails, and leaves the old file as it was', () => {
    const sub = mkdtempSync(join(dir, 'fail-'));
    const path = join(sub, 'model.safetensors');
    writeFileSync(path, 'old');
    const failing: StoredTensor = {
      name: 'a',
      dtype: 'F32',
      shape: [1],
      read: () => {
        throw new Error('no values');
      },
    };
    expect(() => writeSafetensors(path, [failing])).toThrow('no values');
    expect(readdirSync(sub)).toEqual(['model.safetensors']);
    expect(readFileSync(path, 'utf8')).toBe('old');
  });
});

describe('a damaged file is refused by name', () => {
  const path = () => join(dir, 'damaged.safetensors');
  const open = () => SafetensorsFile.open(path());
  const withHeader = (header: unknown, dataBytes: number) => {
    const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    writeFileSync(path(), Buffer.concat([length, json, Buffer.alloc(dataBytes)]));
  };
  const tensor = (dtype: string, shape: number[], begin: number, end: number) => ({
    dtype,
    shape,
    data_offsets: [begin, end],
  });

  it('cut anywhere', () => {
    writeSafetensors(path(), [stored('a', 'F32', [8], new Float32Array(8))]);
    const whole = readFileSync(path());
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path(), whole);
      truncateSync(path(), length);
      expect(open).toThrow(UserError);
      expect(open).toThrow(`damaged.safetensors is damaged: it has ${length} bytes of `);
    }
  });

  it.each([
    ['header of a wrong file', '<!doctype html>', 0, 'its header is not'],
    ['entry without offsets', { a: { dtype: 'F32', shape: [1] } }, 4, 'its header is not'],
    ['negative shape', { a: tensor('F32', [-1], 0, 4) }, 4, 'its header is not'],
    ['unsupported dtype', { a: tensor('I64', [1], 0, 8) }, 8, 'tensor a has dtype I64; supported: F32, F16, BF16'],
    ['overlap', { a: tensor('F32', [2], 0, 8), b: tensor('F32', [2], 4, 12) }, 12, 'tensor b begins at byte 4'],
    ['gap', { a: tensor('F32', [1], 0, 4), b: tensor('F32', [1], 8, 12) }, 12, 'tensor b begins at byte 8'],
    ['wrong size', { a: tensor('BF16', [3], 0, 12) }, 12, 'tensor a of shape [3] has 12 bytes, not 6'],
    ['trailing bytes', { a: tensor('F32', [1], 0, 4) }, 7, '3 bytes after its last tensor'],
  ])('%s', (_, header, dataBytes, message) => {
    withHeader(header, dataBytes);
    expect(open).toThrow(UserError);
    expect(open).toThrow(message);
  });

  it('a web page in its place', () => {
    writeFileSync(path(), '<!doctype html><title>404</title>');
    expect(open).toThrow('does not begin with a safetensors header');
  });
});
