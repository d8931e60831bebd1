import { expect, test } from 'vitest';
import { majority, passAtK } from '../../src/eval/metrics.ts';

test('pass@k is the part of all k-subsets that holds a correct sample', () => {
  const n = 7;
  for (let c = 0; c <= n; c++) {
    for (let k = 1; k <= n; k++) {
      const subsets = Array.from({ length: 2 ** n }, (_, bits) => bits).filter(bits => bitCount(bits) === k);
      // The first c samples are the correct ones.
      const passing = subsets.filter(bits => (bits & (2 ** c - 1)) !== 0);
      expect(passAtK(n, c, k)).toBeCloseTo(passing.length / subsets.length, 12);
    }
  }
});

test('maj@k follows the most frequent answer, shares ties, and ignores samples without one', () => {
  const right = { answer: '7', correct: true };
  const wrong = { answer: '8', correct: false };
  const none = { correct: false };
  expect(majority([right, right, wrong, none, none, none])).toBe(1);
  expect(majority([right, wrong, wrong])).toBe(0);
  expect(majority([right, wrong])).toBe(0.5);
  expect(majority([none, none])).toBe(0);
});

function bitCount(bits: number): number {
  return bits.toString(2).replaceAll('0', '').length;
}
