import fc from 'fast-check';
import { expect, test } from 'vitest';
import { packedRows, packSequences } from '../../src/model/pack.ts';

/** Sequences that grow out of each other's beginnings. */
const family = fc
  .array(
    fc.record({
      from: fc.nat(),
      kept: fc.integer({ min: 0, max: 60 }),
      added: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 40 }),
    }),
    { minLength: 1, maxLength: 10 },
  )
  .map(parts => {
    const sequences: number[][] = [];
    for (const { from, kept, added } of parts) {
      const ancestor = sequences[from % Math.max(1, sequences.length)] ?? [];
      sequences.push([...ancestor.slice(0, kept), ...added]);
    }
    return sequences;
  });

function common(a: number[], b: number[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}

test('each sequence finds its tokens and positions in the rows', () => {
  fc.assert(
    fc.property(family, sequences => {
      const { ids, positions, rows } = packSequences(sequences);
      expect(Array.from(rows, own => Array.from(own, row => ids[row]))).toEqual(sequences);
      for (const own of rows) expect(Array.from(own, row => positions[row])).toEqual(Array.from(own, (_, t) => t));
    }),
  );
});

test('segments cover the rows in order, parents first and in one run, and a sequence is a chain of them', () => {
  fc.assert(
    fc.property(family, sequences => {
      const { ids, positions, segments, rows } = packSequences(sequences);
      const table = Array.from({ length: segments.length / 3 }, (_, s) => segments.slice(s * 3, s * 3 + 3));
      const segmentOf: number[] = [];
      let root = 0;
      table.forEach(([first, count, parent], s) => {
        expect(first).toBe(segmentOf.length);
        expect(count).toBeGreaterThan(0);
        if (parent < 0) root = s;
        else expect(parent >= root && parent < s).toBe(true);
        const before = parent < 0 ? 0 : positions[table[parent][0]] + table[parent][1];
        expect(positions[first]).toBe(before);
        for (let r = 0; r < count; r++) segmentOf.push(s);
      });
      expect(segmentOf.length).toBe(ids.length);
      for (const own of rows) {
        own.forEach((row, t) => {
          if (t === 0) return;
          const [previous, here] = [segmentOf[own[t - 1]], segmentOf[row]];
          expect(previous === here || previous === table[here][2]).toBe(true);
        });
      }
    }),
  );
});

test('two sequences share a common beginning of 16 tokens or more, and no shorter one', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 40 }),
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 1, max: 9 }),
      (n, a, b) => {
        const prefix = new Array<number>(n).fill(7);
        const sequences = [
          [...prefix, ...new Array<number>(a).fill(1)],
          [...prefix, ...new Array<number>(b).fill(2)],
        ];
        expect(packedRows(sequences)).toBe(n + a + b + (n < 16 ? n : 0));
      },
    ),
  );
});

test('a further sequence costs its own tokens, and less than 16 of those it has in common with another', () => {
  fc.assert(
    fc.property(family, fc.nat(), (sequences, pick) => {
      const others = sequences.slice(0, -1);
      const last = sequences[sequences.length - 1];
      const shared = Math.max(0, ...others.map(other => common(other, last)));
      const cost = packedRows(sequences) - packedRows(others);
      expect(cost).toBeGreaterThanOrEqual(last.length - shared);
      expect(cost).toBeLessThan(last.length - shared + 16);
      const again = sequences[pick % sequences.length];
      expect(packedRows([...sequences, again]) - packedRows(sequences)).toBeLessThan(16);
    }),
  );
});
