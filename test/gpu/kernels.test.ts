import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { adamw, globalNorm } from '../../src/tensor/ops.ts';
import { scope, Tensor } from '../../src/tensor/tensor.ts';
import { evaluate, normal, type Operation } from '../tensor/gradientCheck.ts';
import { operations } from '../tensor/operations.ts';
import { segmentTree } from '../tensor/segments.ts';
import { byCpu } from './onGpu.ts';

/** Largest difference, of the largest number: f32 has 24 bits, and sums have another order. */
const tolerance = 1e-4;

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  expect(actual.length, what).toBe(expected.length);
  let [worst, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]);
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
    largest = Math.max(largest, Math.abs(expected[i]));
  }
  expect(worst, what).toBeLessThanOrEqual(tolerance * Math.max(largest, 1e-2));
}

const size = (max: number) => fc.integer({ min: 1, max });
const matrixSize = fc.constantFrom(1, 7, 32, 65, 130);
const rows = fc.constantFrom(1, 9, 70);
const seed = fc.nat();
const headShape = (...lengths: number[]) =>
  fc
    .record({ kvHeads: size(2), group: size(3), d: fc.constantFrom(...lengths) })
    .map(({ kvHeads, group, d }) => ({ heads: kvHeads * group, kvHeads, d }));

/** Sizes below, at and above what a workgroup takes. */
const cases: Record<keyof typeof operations, fc.Arbitrary<Operation>> = {
  embedding: fc.record({ n: rows, h: size(70), vocab: size(7), seed }).map(operations.embedding),
  addRmsNorm: fc.record({ n: rows, h: size(150), seed, delta: fc.boolean() }).map(operations.addRmsNorm),
  linear: fc.record({ n: rows, rows: matrixSize, columns: matrixSize, seed }).map(operations.linear),
  biasedLinear: fc.record({ n: rows, rows: matrixSize, columns: matrixSize, seed }).map(operations.biasedLinear),
  adaptedLinear: fc
    .record({ n: rows, rows: matrixSize, columns: matrixSize, rank: size(9), seed })
    .map(operations.adaptedLinear),
  rope: fc.record({ n: rows, shape: headShape(2, 6, 16, 128), seed }).map(operations.rope),
  qkNormRope: fc.record({ n: rows, shape: headShape(2, 6, 16, 128), seed }).map(operations.qkNormRope),
  attention: fc.record({ tree: segmentTree(6, 30), shape: headShape(2, 6, 64, 128), seed }).map(operations.attention),
  selectRows: fc.record({ n: rows, width: size(70), seed }).map(operations.selectRows),
  swiglu: fc.record({ n: rows, m: size(70), seed }).map(operations.swiglu),
  lmHead: fc
    .record({ n: rows, m: size(80), h: matrixSize, vocab: matrixSize, chunk: fc.constantFrom(16, 50), seed })
    .map(operations.lmHead),
};

describe.each(Object.entries(cases))('%s', (_, operation) => {
  it('gives what the CPU gives, forwards and backwards', () => {
    fc.assert(
      fc.property(operation, op => {
        const expected = byCpu(() => evaluate(op, 'f32'));
        const actual = evaluate(op, 'f32');
        expected.outputs.forEach((output, i) => {
          expectClose(actual.outputs[i], output, `output ${i}`);
        });
        for (const [name, gradient] of Object.entries(expected.gradients)) {
          expectClose(actual.gradients[name], gradient, `d/d${name}`);
        }
      }),
      { numRuns: 8 },
    );
  });

  it('gives the same once more, bit for bit', () => {
    const [op] = fc.sample(operation, 1);
    expect(evaluate(op, 'f32')).toEqual(evaluate(op, 'f32'));
  });
});

test('rows that come often, and rows in several blocks, add up in the LM head', () => {
  const op = operations.lmHead({ n: 3, m: 600, h: 8, vocab: 40, chunk: 16, seed: 3 });
  const expected = byCpu(() => evaluate(op, 'f32'));
  const actual = evaluate(op, 'f32');
  expectClose(actual.gradients.x, expected.gradients.x, 'd/dx');
  expectClose(actual.gradients.w, expected.gradients.w, 'd/dw');
});

test('AdamW and the norm of the gradient are the CPU’s, and gradients are cleared', () => {
  const updated = () =>
    scope(() => {
      const [parameters, gradients, firstMoments, secondMoments] = [1, 2, 3, 4].map(k => {
        const { data } = normal(k, 20_000);
        return Tensor.from(k === 4 ? data.map(Math.abs) : data);
      });
      const norm = globalNorm(gradients);
      const state = { parameters, gradients, firstMoments, secondMoments };
      const options = { learningRate: 1e-2, betas: [0.9, 0.95] as [number, number], epsilon: 1e-8, weightDecay: 0.1 };
      adamw(state, 3, { ...options, gradScale: 0.5 });
      return [[norm], ...Object.values(state).map(tensor => tensor.floats())];
    });
  const expected = byCpu(updated);
  updated().forEach((values, i) => {
    expectClose(values, expected[i], `result ${i}`);
  });
});
