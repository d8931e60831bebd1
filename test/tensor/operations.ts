import { Random } from '../../src/random.ts';
import {
  addBias,
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
import { type Activations, normal, type Operation, type Values } from './gradientCheck.ts';
import { type SegmentTree, segmentTable, totalRows } from './segments.ts';

type Sizes<Names extends string> = Record<Names, number> & { seed: number };

export interface Heads {
  heads: number;
  kvHeads: number;
  d: number;
}

/** Every differentiable operation, on random numbers in the sizes that are asked for. */
export const operations = {
  embedding: ({ n, h, vocab, seed }: Sizes<'n' | 'h' | 'vocab'>): Operation => ({
    parameters: { table: normal(seed, vocab, h) },
    run: (dtype, tape, _, { table }) => [
      embedding(tape, { ...table, weight: table.weight.converted(dtype) }, Tensor.from(indices(seed, n, vocab))),
    ],
  }),

  addRmsNorm: ({ n, h, seed, delta }: Sizes<'n' | 'h'> & { delta: boolean }): Operation => ({
    activations: {
      x: { ...normal(seed, n, h), stream: true },
      ...(delta && { delta: normal(seed + 1, n, h) }),
    },
    parameters: { weight: normal(seed, h) },
    run(dtype, tape, { x, delta }, { weight }) {
      const { sum, normed } = addRmsNorm(tape, x, delta, weight, 0.1, dtype);
      return delta ? [normed, sum] : [normed];
    },
  }),

  linear: ({ n, rows, columns, seed }: Sizes<'n' | 'rows' | 'columns'>): Operation => ({
    activations: { x: normal(seed, n, columns) },
    parameters: { w: normal(seed + 1, rows, columns) },
    run: (dtype, tape, { x }, { w }) => [linear(tape, x, packed(w, dtype))],
  }),

  biasedLinear: ({ n, rows, columns, seed }: Sizes<'n' | 'rows' | 'columns'>): Operation => ({
    activations: { x: normal(seed, n, columns) },
    parameters: { w: normal(seed + 1, rows, columns), bias: normal(seed + 2, rows) },
    run(dtype, tape, { x }, { w, bias }) {
      const y = linear(tape, x, packed(w, dtype));
      addBias(tape, y, bias);
      return [y];
    },
  }),

  /** Of three parts the first and the last have an adapter. */
  adaptedLinear: ({ n, rows, columns, rank, seed }: Sizes<'n' | 'rows' | 'columns' | 'rank'>): Operation => ({
    activations: { x: normal(seed, n, columns) },
    parameters: {
      a: normal(seed + 1, 2 * rank, columns),
      first: normal(seed + 2, rows, rank),
      last: normal(seed + 3, rows + 1, rank),
    },
    inside: 0.3 * Math.sqrt(2 * rank * Math.max(rows + 1, columns)),
    run(dtype, tape, { x }, { a, first, last }) {
      const { data, shape } = normal(seed + 4, rows + 3 + rows + 1, columns);
      const { forward, backward } = packed({ weight: Tensor.from(data, shape) }, dtype);
      const ups = [
        { up: packed(first, dtype), row: 0, downRow: 0 },
        { up: packed(last, dtype), row: rows + 3, downRow: rank },
      ];
      return [linear(tape, x, { forward, backward, adapter: { down: packed(a, dtype), ups, scale: 0.3 } })];
    },
  }),

  qkNormRope: ({ n, shape: { heads, kvHeads, d }, seed }: Sizes<'n'> & { shape: Heads }): Operation => ({
    activations: { qkv: normal(seed, n, (heads + 2 * kvHeads) * d) },
    parameters: { query: normal(seed, d), key: normal(seed + 1, d) },
    run: (_, tape, { qkv }, { query, key }) => [
      qkNormRope(tape, qkv, { query, key }, ...rotation(n, d, seed), { heads, kvHeads, epsilon: 0.1 }),
    ],
  }),

  rope: ({ n, shape: { heads, kvHeads, d }, seed }: Sizes<'n'> & { shape: Heads }): Operation => ({
    activations: { qkv: normal(seed, n, (heads + 2 * kvHeads) * d) },
    run: (_, tape, { qkv }) => [
      qkNormRope(tape, qkv, undefined, ...rotation(n, d, seed), { heads, kvHeads, epsilon: 0.1 }),
    ],
  }),

  attention: ({ tree, shape, seed }: { tree: SegmentTree; shape: Heads; seed: number }): Operation => {
    const { heads, kvHeads, d } = shape;
    return {
      activations: {
        qk: normal(seed, totalRows(tree), (heads + kvHeads) * d),
        qkv: normal(seed, totalRows(tree), (heads + 2 * kvHeads) * d),
      },
      run(_, tape, { qk, qkv }) {
        const segments = Tensor.from(segmentTable(tree), [tree.length, 3]);
        return [attention(tape, qk, qkv, segments, shape)];
      },
    };
  },

  selectRows: ({ n, width, seed }: Sizes<'n' | 'width'>): Operation => ({
    activations: { x: normal(seed, n, width) },
    run: (_, tape, { x }) => [selectRows(tape, x, Tensor.from(Int32Array.from(new Set(indices(seed, n, n))).sort()))],
  }),

  swiglu: ({ n, m, seed }: Sizes<'n' | 'm'>): Operation => ({
    activations: { gateUp: normal(seed, n, 2 * m) },
    run: (_, tape, { gateUp }) => [swiglu(tape, gateUp)],
  }),

  lmHead: ({ n, m, h, vocab, chunk, seed }: Sizes<'n' | 'm' | 'h' | 'vocab' | 'chunk'>): Operation => ({
    activations: { x: normal(seed, n, h) },
    parameters: { w: scaled(normal(seed + 1, vocab, h), 0.5) },
    run(dtype, tape, { x }, { w }) {
      const rows = Tensor.from(indices(seed, m, n));
      const targets = Tensor.from(indices(seed + 1, m, vocab));
      return [lmHead(tape, x, rows, targets, packed(w, dtype, chunk)).logprobs];
    },
  }),
};

/** A table of five positions, and which of them each row has. */
function rotation(n: number, d: number, seed: number): [Tensor, Tensor] {
  return [Tensor.from(normal(seed, 5, d).data, [5, d]), Tensor.from(indices(seed, n, 5))];
}

function indices(from: number, length: number, limit: number): Int32Array {
  const random = Random.of(from, 'indices');
  return Int32Array.from({ length }, () => random.below(limit));
}

const scaled = ({ data, shape }: Values, by: number): Values => ({ data: data.map(x => x * by), shape });

function packed({ weight, grad }: { weight: Tensor; grad?: Tensor }, dtype: Activations, chunkRows?: number): Linear {
  const [forward, backward] = (['forward', 'backward'] as const).map(d => PackedWeight.of(weight, dtype, d, chunkRows));
  return { forward, backward, grad };
}
