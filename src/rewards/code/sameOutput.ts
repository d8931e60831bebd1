import { canonicalDecimal } from '../decimal.ts';

/**
 * Whether a program has written what was wanted, as LiveCodeBench has it: line by line, without the space around the whole
 * and around each line; where two lines differ, they are the same if both are numbers of the same values, compared exactly.
 */
export function sameOutput(written: string, wanted: string): boolean {
  const [a, b] = [lines(written), lines(wanted)];
  return a.length === b.length && a.every((line, i) => line === b[i] || sameNumbers(line, b[i]));
}

function lines(text: string): string[] {
  return text
    .trim()
    .split('\n')
    .map(line => line.trim());
}

function sameNumbers(a: string, b: string): boolean {
  const [words, others] = [a.split(/\s+/), b.split(/\s+/)];
  if (words.length !== others.length) return false;
  return words.every((word, i) => {
    const number = canonicalDecimal(word);
    return number !== undefined && number === canonicalDecimal(others[i]);
  });
}
