import { expect, test } from 'vitest';
import { randomBlocks } from '../../bench/randomGguf.ts';
import { dequantize, firstInfinite } from '../../src/gguf/blocks.ts';
import { storedBytes, type TensorTypeName, tensorTypeNames, tensorTypes } from '../../src/gguf/tensorTypes.ts';
import { embedding, type Linear, linear, lmHead } from '../../src/tensor/ops.ts';
import { Tape } from '../../src/tensor/tape.ts';
import { BlockMatrix, PackedWeight, scope, Tensor } from '../../src/tensor/tensor.ts';
import { normal } from './gradientCheck.ts';

const blocksOf = (type: TensorTypeName, values: number, seed: number, scale: number) =>
  randomBlocks(type, values / tensorTypes[type].values, seed, scale);

/** From the smallest halves to the largest. */
const scales = [2 ** -24, 2 ** -14, 1e-3, 1, 1e4];

test.each(tensorTypeNames)('%s: kernels take from blocks what reading a file makes of them, bit for bit', type => {
  scales.forEach((scale, seed) => {
    const bytes = blocksOf(type, 256 * 24, seed, scale);
    const values = new Float32Array(256 * 24);
    dequantize(type, bytes, values);
    const looked = scope(() => {
      const weight = BlockMatrix.allocate('f32', 256, [{ type: tensorTypes[type].id, rows: 24 }]).write(0, bytes);
      return embedding(undefined, { weight }, Tensor.from(Int32Array.from({ length: 24 }, (_, row) => row))).floats();
    });
    expect(new Uint32Array(values.buffer)).toEqual(new Uint32Array(looked.buffer));
    expect(firstInfinite(type, bytes)).toBeUndefined();
  });
});

test.each(tensorTypeNames)('%s: a block of what is no number is found', type => {
  const { values, bytes } = tensorTypes[type];
  const blocks = blocksOf(type, 256 * 24, 1, 1);
  const view = new DataView(blocks.buffer);
  for (const block of [3000 / values, 5000 / values].map(Math.floor)) {
    if (type === 'F32') view.setUint32(block * bytes, 0x7f800000, true);
    else view.setUint16(block * bytes + (type === 'Q6_K' ? 208 : 0), type === 'BF16' ? 0x7f80 : 0x7c00, true);
  }
  const found = firstInfinite(type, blocks)!;
  expect(found.at).toBe(Math.floor(3000 / values) * values);
  expect(found.value).not.toBeCloseTo(0);
  expect(Number.isFinite(found.value)).toBe(false);
});

const columns = 512;
const parts = [
  { type: 'Q4_K', rows: 37 },
  { type: 'Q6_K', rows: 21 },
  { type: 'Q8_0', rows: 75 },
  { type: 'Q4_0', rows: 1 },
  { type: 'Q4_1', rows: 50 },
  { type: 'F16', rows: 9 },
  { type: 'BF16', rows: 2 },
  { type: 'F32', rows: 10 },
] as const;
const rows = parts.reduce((sum, part) => sum + part.rows, 0);

/** The same numbers in blocks and whole, as they are after loading. */
function both(dtype: 'f32' | 'bf16'): [BlockMatrix, Tensor] {
  const types = parts.map(({ type, rows }) => ({ type: tensorTypes[type].id, rows }));
  const inBlocks = BlockMatrix.allocate(dtype, columns, types);
  const values = new Float32Array(rows * columns);
  let first = 0;
  for (const { type, rows } of parts) {
    const bytes = blocksOf(type, rows * columns, 3, 1e-3);
    const half = Math.floor(rows / 2) * storedBytes(type, columns);
    inBlocks.write(first, bytes.subarray(0, half));
    inBlocks.write(first + Math.floor(rows / 2), bytes.subarray(half));
    dequantize(type, bytes, values.subarray(first * columns, (first + rows) * columns));
    first += rows;
  }
  return [inBlocks, Tensor.from(values, [rows, columns], dtype)];
}

test.each(['f32', 'bf16'] as const)(
  '%s: a matrix in blocks is computed with as if it were whole, bit for bit',
  dtype => {
    scope(() => {
      const n = 9;
      const results = both(dtype).map(weight => {
        const packed = (chunkRows?: number): Linear => ({
          forward: PackedWeight.of(weight, dtype, 'forward', chunkRows),
          backward: PackedWeight.of(weight, dtype, 'backward', chunkRows),
          grad: Tensor.zeros('f32', [rows, columns]),
        });
        const x = Tensor.from(normal(4, n, columns).data, [n, columns], dtype);
        const tape = new Tape();
        const y = linear(tape, x, packed());
        const product = y.floats();
        tape.give(y, Tensor.from(normal(5, n, rows).data, [n, rows], dtype));
        tape.backward();
        const byProduct = tape.gradient(x).floats();
        const wanted = Int32Array.from({ length: n }, (_, i) => i);
        const targets = Int32Array.from({ length: n }, (_, i) => i * 20);
        const head = lmHead(tape, x, Tensor.from(wanted), Tensor.from(targets), packed(64));
        const logprobs = head.logprobs.floats();
        head.setGradient(normal(6, n).data);
        tape.backward();
        const looked = embedding(undefined, { weight }, Tensor.from(targets)).floats();
        return { product, byProduct, logprobs, byHead: tape.gradient(x).floats(), looked };
      });
      expect(results[0]).toEqual(results[1]);
      expect(results[0].logprobs.every(Number.isFinite)).toBe(true);
    });
  },
);

test('blocks that do not fit are refused', () => {
  scope(() => {
    const [q4, f32] = [tensorTypes.Q4_K.id, tensorTypes.F32.id];
    expect(() => BlockMatrix.allocate('f32', 100, [{ type: q4, rows: 1 }])).toThrow(/columns are no whole blocks/);
    expect(() => BlockMatrix.allocate('f32', 256, [{ type: 7, rows: 1 }])).toThrow(
      /a type of GGML that is not read here/,
    );
    const matrix = BlockMatrix.allocate('f32', 256, [
      { type: q4, rows: 2 },
      { type: f32, rows: 2 },
    ]);
    expect(() => matrix.write(1, new Uint8Array(2 * 144))).toThrow(/no whole rows of one part/);
    expect(() => matrix.write(4, new Uint8Array(144))).toThrow(/firstRow must be an integer from 0 to 3/);
    expect(() => PackedWeight.of(matrix, 'bf16', 'forward')).toThrow(/values of another dtype/);
    expect(() => embedding(undefined, { weight: matrix }, Tensor.from(Int32Array.of(4)))).toThrow(/expected 0 to 3/);
  });
});
