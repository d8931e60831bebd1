import type { Sequence } from './grammar.ts';

/**
 * Every whole number from `least` to `most`, both included and possibly infinite, as JSON writes it: alternatives by
 * digits. Beyond what a double tells apart there are none.
 */
export function integerBetween(least: number, most: number): Sequence[] {
  const [low, high] = [Math.max(least, Number.MIN_SAFE_INTEGER), Math.min(most, Number.MAX_SAFE_INTEGER)];
  const alternatives: Sequence[] = [];
  if (low < 0) {
    for (const digits of unsigned(Math.max(1, -high), -low)) alternatives.push([{ text: '-' }, ...digits]);
  }
  if (high >= 0) alternatives.push(...unsigned(Math.max(0, low), high));
  return alternatives;
}

/** 0 ≤ low ≤ high. */
function unsigned(low: number, high: number): Sequence[] {
  const [shortest, longest] = [String(low).length, String(high).length];
  const alternatives: Sequence[] = [];
  for (let length = shortest; length <= longest; length++) {
    const from = length === shortest ? String(low) : `1${'0'.repeat(length - 1)}`;
    const to = length === longest ? String(high) : '9'.repeat(length);
    alternatives.push(...between(from, to));
  }
  return alternatives;
}

/** Numbers of as many digits as both ends have, zeros in front allowed. */
function between(from: string, to: string): Sequence[] {
  const length = from.length;
  if (length === 0) return [[]];
  if (/^0*$/.test(from) && /^9*$/.test(to)) return [[digits('0', '9', length)]];
  const [first, last] = [from[0], to[0]];
  const behind = (digit: string, from: string, to: string): Sequence[] =>
    between(from, to).map(rest => [digits(digit, digit, 1), ...rest]);
  if (first === last) return behind(first, from.slice(1), to.slice(1));
  const lowest = /^0*$/.test(from.slice(1));
  const highest = /^9*$/.test(to.slice(1));
  const [middleFrom, middleTo] = [Number(first) + (lowest ? 0 : 1), Number(last) - (highest ? 0 : 1)];
  return [
    ...(lowest ? [] : behind(first, from.slice(1), '9'.repeat(length - 1))),
    ...(middleFrom > middleTo ? [] : [[digits(String(middleFrom), String(middleTo), 1), digits('0', '9', length - 1)]]),
    ...(highest ? [] : behind(last, '0'.repeat(length - 1), to.slice(1))),
  ];
}

function digits(from: string, to: string, count: number): Sequence[number] {
  const digit: Sequence[number] = { bytes: [[from.charCodeAt(0), to.charCodeAt(0)]] };
  return count === 1 ? digit : { repeat: [digit], min: count, max: count };
}
