import fc from 'fast-check';
import { describe, it } from 'vitest';
import { checkBf16, checkGradients, type Operation } from './gradientCheck.ts';
import { operations } from './operations.ts';
import { segmentTree } from './segments.ts';

const size = (max: number) => fc.integer({ min: 1, max });
const matrixSize = fc.constantFrom(1, 7, 32, 65);
const seed = fc.nat();
/** Query heads in groups of one to three over one to three key/value heads. */
const shape = fc
  .record({ kvHeads: size(3), group: size(3), d: fc.constantFrom(2, 6, 16, 24) })
  .map(({ kvHeads, group, d }) => ({ heads: kvHeads * group, kvHeads, d }));

const cases: Record<keyof typeof operations, fc.Arbitrary<Operation>> = {
  embedding: fc.record({ n: size(9), h: size(33), vocab: size(7), seed }).map(operations.embedding),
  addRmsNorm: fc.record({ n: size(9), h: size(70), seed, delta: fc.boolean() }).map(operations.addRmsNorm),
  linear: fc.record({ n: size(9), rows: matrixSize, columns: matrixSize, seed }).map(operations.linear),
  biasedLinear: fc.record({ n: size(9), rows: matrixSize, columns: matrixSize, seed }).map(operations.biasedLinear),
  adaptedLinear: fc
    .record({ n: size(9), rows: matrixSize, columns: matrixSize, rank: size(9), seed })
    .map(operations.adaptedLinear),
  rope: fc.record({ n: size(9), shape, seed }).map(operations.rope),
  qkNormRope: fc.record({ n: size(9), shape, seed }).map(operations.qkNormRope),
  attention: fc.record({ tree: segmentTree(6, 20), shape, seed }).map(operations.attention),
  selectRows: fc.record({ n: size(9), width: size(40), seed }).map(operations.selectRows),
  swiglu: fc.record({ n: size(9), m: size(40), seed }).map(operations.swiglu),
  lmHead: fc
    .record({ n: size(9), m: size(12), h: matrixSize, vocab: matrixSize, chunk: fc.constantFrom(16, 50), seed })
    .map(operations.lmHead),
};

describe.each(Object.entries(cases))('%s', (_, operation) => {
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
