import fc from 'fast-check';
import { describe, it } from 'vitest';
import { Random } from '../../src/random.ts';
import {
  addRmsNorm,
  attention,
  embedding,
  type Linear,
  linear,
  lmHead,
  qkNormRope,
  selectRows,
  swiglu,
} from '../../src/tensor/ops.ts';
import { PackedWeight, Tensor } from '../../src/tensor/tensor.ts';
import { type Activations, checkBf16, checkGradients, normal, type Operation, type Values } from './gradientCheck.ts';
import { segmentTable, segmentTree, totalRows } from './segments.ts';

const size = (max: number) => fc.integer({ min: 1, max });
/** Few, since the library compiles a product for each. */
const matrixSize = fc.constantFrom(1, 7, 32, 65);
const seed = fc.nat();
/** Query heads in groups of one to three over one to three key/value heads. */
const headShape = fc
  .record({ kvHeads: size(3), group: size(3), d: fc.constantFrom(2, 6, 16, 24) })
  .map(({ kvHeads, group, d }) => ({ heads: kvHeads * group, kvHeads, d }));

function indices(from: number, length: number, limit: number): Int32Array {
  const random = Random.of(from, 'indices');
  return Int32Array.from({ length }, () => random.below(limit));
}

const scaled = ({ data, shape }: Values, by: number): Values => ({ data: data.map(x => x * by), shape });

function packed({ weight, grad }: { weight: Tensor; grad: Tensor }, dtype: Activations, chunkRows?: number): Linear {
  const [forward, backward] = (['forward', 'backward'] as const).map(d => PackedWeight.of(weight, dtype, d, chunkRows));
  return { forward, backward, grad };
}

const operations: Record<string, fc.Arbitrary<Operation>> = {
  embedding: fc.record({ n: size(9), h: size(33), vocab: size(7), seed }).map(({ n, h, vocab, seed }) => ({
    parameters: { table: normal(seed, vocab, h) },
    run: (dtype, tape, _, { table }) => [
      embedding(tape, { ...table, weight: table.weight.converted(dtype) }, Tensor.from(indices(seed, n, vocab))),
    ],
  })),

  addRmsNorm: fc.record({ n: size(9), h: size(70), seed, delta: fc.boolean() }).map(({ n, h, seed, delta }) => ({
    activations: {
      x: { ...normal(seed, n, h), stream: true },
      ...(delta && { delta: normal(seed + 1, n, h) }),
    },
    parameters: { weight: normal(seed, h) },
    run(dtype, tape, { x, delta }, { weight }) {
      const { sum, normed } = addRmsNorm(tape, x, delta, weight, 0.1, dtype);
      return delta ? [normed, sum] : [normed];
    },
  })),

  linear: fc.record({ n: size(9), rows: matrixSize, columns: matrixSize, seed }).map(({ n, rows, columns, seed }) => ({
    activations: { x: normal(seed, n, columns) },
    parameters: { w: normal(seed + 1, rows, columns) },
    run: (dtype, tape, { x }, { w }) => [linear(tape, x, packed(w, dtype))],
  })),

  qkNormRope: fc.record({ n: size(9), shape: headShape, seed }).map(({ n, shape: { heads, kvHeads, d }, seed }) => ({
    activations: { qkv: normal(seed, n, (heads + 2 * kvHeads) * d) },
    parameters: { query: normal(seed, d), key: normal(seed + 1, d) },
    run(_, tape, { qkv }, { query, key }) {
      const table = Tensor.from(normal(seed, 5, d).data, [5, d]);
      const positions = Tensor.from(indices(seed, n, 5));
      return [qkNormRope(tape, qkv, query, key, table, positions, { heads, kvHeads, epsilon: 0.1 })];
    },
  })),

  attention: fc
    .record({ tree: segmentTree(6, 20), shape: headShape, seed })
    .map(({ tree, shape: { heads, kvHeads, d }, seed }) => ({
      activations: {
        qk: normal(seed, totalRows(tree), (heads + kvHeads) * d),
        qkv: normal(seed, totalRows(tree), (heads + 2 * kvHeads) * d),
      },
      run(_, tape, { qk, qkv }) {
        const segments = Tensor.from(segmentTable(tree), [tree.length, 3]);
        return [attention(tape, qk, qkv, segments, { heads, kvHeads })];
      },
    })),

  selectRows: fc.record({ n: size(9), width: size(40), seed }).map(({ n, width, seed }) => ({
    activations: { x: normal(seed, n, width) },
    run: (_, tape, { x }) => [selectRows(tape, x, Tensor.from(Int32Array.from(new Set(indices(seed, n, n))).sort()))],
  })),

  swiglu: fc.record({ n: size(9), m: size(40), seed }).map(({ n, m, seed }) => ({
    activations: { gateUp: normal(seed, n, 2 * m) },
    run: (_, tape, { gateUp }) => [swiglu(tape, gateUp)],
  })),

  lmHead: fc
    .record({ n: size(9), m: size(12), h: matrixSize, vocab: matrixSize, chunk: fc.constantFrom(16, 50), seed })
    .map(({ n, m, h, vocab, chunk, seed }) => ({
      activations: { x: normal(seed, n, h) },
      parameters: { w: scaled(normal(seed + 1, vocab, h), 0.5) },
      run(dtype, tape, { x }, { w }) {
        const rows = Tensor.from(indices(seed, m, n));
        const targets = Tensor.from(indices(seed + 1, m, vocab));
        return [lmHead(tape, x, rows, targets, packed(w, dtype, chunk)).logprobs];
      },
    })),
};

describe.each(Object.entries(operations))('%s', (_, operation) => {
  it('has the gradient that central differences show', () => {
    fc.assert(
      fc.property(operation, op => checkGradients(op)),
      { numRuns: 25 },
    );
  });

  it('computes in bf16 what it computes in f32, but for rounding', () => {
    fc.assert(
      fc.property(operation, op => checkBf16(op)),
      { numRuns: 25 },
    );
  });
});
