import fc from 'fast-check';
import { expect, test } from 'vitest';
import { attention, cachedAttention } from '../../src/tensor/ops.ts';
import { scope, Tensor } from '../../src/tensor/tensor.ts';
import { normal } from './gradientCheck.ts';
import { segmentTable, segmentTree, totalRows, visibleRows } from './segments.ts';

interface Heads {
  heads: number;
  kvHeads: number;
  d: number;
}

const headShape: fc.Arbitrary<Heads> = fc.constantFrom(
  { heads: 4, kvHeads: 2, d: 6 },
  { heads: 3, kvHeads: 3, d: 24 },
  { heads: 5, kvHeads: 1, d: 16 },
);

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

/** softmax(q·k/√d)·v in float64, over the rows that each row sees. */
function reference(qk: Float32Array, qkv: Float32Array, seen: number[][], { heads, kvHeads, d }: Heads): Float64Array {
  const out = new Float64Array(seen.length * heads * d);
  const qkAt = (row: number, head: number) => qk.subarray((row * (heads + kvHeads) + head) * d);
  const valueAt = (row: number, kv: number) => qkv.subarray((row * (heads + 2 * kvHeads) + heads + kvHeads + kv) * d);
  seen.forEach((keys, row) => {
    for (let head = 0; head < heads; head++) {
      const kv = Math.floor(head / (heads / kvHeads));
      const query = qkAt(row, head);
      const scores = keys.map(key => {
        const k = qkAt(key, heads + kv);
        let sum = 0;
        for (let j = 0; j < d; j++) sum += query[j] * k[j];
        return sum / Math.sqrt(d);
      });
      const best = Math.max(...scores);
      const total = scores.reduce((sum, score) => sum + Math.exp(score - best), 0);
      keys.forEach((key, i) => {
        const value = valueAt(key, kv);
        const weight = Math.exp(scores[i] - best) / total;
        for (let j = 0; j < d; j++) out[(row * heads + head) * d + j] += weight * value[j];
      });
    }
  });
  return out;
}

test('attention over a forest of segments is softmax over what each row sees', () => {
  fc.assert(
    fc.property(segmentTree(6, 90), headShape, fc.nat(), (tree, shape, seed) => {
      const n = totalRows(tree);
      const qk = normal(seed, n, (shape.heads + shape.kvHeads) * shape.d);
      const qkv = normal(seed, n, (shape.heads + 2 * shape.kvHeads) * shape.d);
      const out = scope(() => {
        const segments = Tensor.from(segmentTable(tree), [tree.length, 3]);
        return attention(
          undefined,
          Tensor.from(qk.data, qk.shape),
          Tensor.from(qkv.data, qkv.shape),
          segments,
          shape,
        ).floats();
      });
      expect(largestDifference(out, reference(qk.data, qkv.data, visibleRows(tree), shape))).toBeLessThan(1e-5);
    }),
    { numRuns: 20 },
  );
});

test('attention over cached pages is softmax over the past, bit for bit the same however the sequence is cut', () => {
  const page = 32;
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
      headShape,
      fc.nat(),
      (cuts, shape, seed) => {
        const { heads, kvHeads, d } = shape;
        const n = cuts.reduce((a, b) => a + b, 0);
        const pages = Math.ceil(n / page);
        const qk = normal(seed, n, (heads + kvHeads) * d);
        const qkv = normal(seed, n, (heads + 2 * kvHeads) * d);
        const attend = (parts: number[]) =>
          scope(() => {
            const [keys, values] = [0, 1].map(() => Tensor.allocate('f32', [pages + 1, kvHeads, d * page]));
            const backwards = Int32Array.from({ length: pages }, (_, i) => pages - i);
            const pageTable = Tensor.from(backwards, [1, pages]);
            let before = 0;
            return parts.flatMap(rows => {
              const part = ({ data, shape: [, width] }: typeof qk) =>
                Tensor.from(data.slice(before * width, (before + rows) * width), [rows, width]);
              const sequences = Tensor.from(Int32Array.of(0, rows, before), [1, 3]);
              const out = cachedAttention(part(qk), part(qkv), { keys, values }, sequences, pageTable, shape);
              before += rows;
              return [...out.floats()];
            });
          });
        const whole = attend([n]);
        const past = visibleRows([{ rows: n, parent: -1 }]);
        expect(largestDifference(whole, reference(qk.data, qkv.data, past, shape))).toBeLessThan(1e-5);
        expect(largestDifference(attend(cuts), whole)).toBe(0);
      },
    ),
    { numRuns: 20 },
  );
});
