import { expect, it, test } from 'vitest';
import { globalNorm } from '../../src/tensor/ops.ts';
import { scope, Tensor } from '../../src/tensor/tensor.ts';
import { sameBits } from './bits.ts';
import { evaluate, normal, type Operation } from './gradientCheck.ts';
import { operations } from './operations.ts';
import { threadCounts, withThreads } from './threads.ts';

/** So large that several threads have a part in each. */
const large: Record<keyof typeof operations, Operation> = {
  embedding: operations.embedding({ n: 500, h: 160, vocab: 30, seed: 1 }),
  addRmsNorm: operations.addRmsNorm({ n: 500, h: 160, delta: true, seed: 1 }),
  linear: operations.linear({ n: 600, rows: 517, columns: 96, seed: 1 }),
  biasedLinear: operations.biasedLinear({ n: 600, rows: 517, columns: 96, seed: 1 }),
  adaptedLinear: operations.adaptedLinear({ n: 600, rows: 250, columns: 96, rank: 16, seed: 1 }),
  rope: operations.rope({ n: 300, shape: { heads: 4, kvHeads: 2, d: 32 }, seed: 1 }),
  qkNormRope: operations.qkNormRope({ n: 300, shape: { heads: 4, kvHeads: 2, d: 32 }, seed: 1 }),
  attention: operations.attention({
    tree: [-1, 0, 0, 1, -1, 4].map(parent => ({ rows: 90, parent })),
    shape: { heads: 4, kvHeads: 2, d: 32 },
    seed: 1,
  }),
  selectRows: operations.selectRows({ n: 500, width: 160, seed: 1 }),
  swiglu: operations.swiglu({ n: 500, m: 256, seed: 1 }),
  lmHead: operations.lmHead({ n: 700, m: 1100, h: 96, vocab: 517, chunk: 256, seed: 1 }),
};

const cases = Object.entries(large).flatMap(([name, operation]) =>
  (['f32', 'bf16'] as const).map(dtype => ({ name, dtype, operation })),
);

it.each(cases)(
  '$name in $dtype and its gradients have the same bits by any number of threads',
  ({ dtype, operation }) => {
    const [one, ...others] = threadCounts.map(threads => {
      const { outputs, gradients } = withThreads(threads, () => evaluate(operation, dtype));
      return [...outputs, ...Object.values(gradients)];
    });
    for (const other of others) expect(other.map((values, i) => sameBits(values, one[i]))).not.toContain(false);
  },
);

test('the global norm has the same bits by any number of threads', () => {
  const { data } = normal(1, 100_000);
  const norms = threadCounts.map(threads => withThreads(threads, () => scope(() => globalNorm(Tensor.from(data)))));
  expect(new Set(norms).size).toBe(1);
});
