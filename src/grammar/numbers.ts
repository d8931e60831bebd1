import type { Sequence, Term } from './grammar.ts';

/** Digits behind the point of a number, beyond those of its bounds. */
const fractionDigits = 16;

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

/** A bound of a number. */
export interface Bound {
  value: number;
  /** Whether the number may not be the bound itself. */
  excluded: boolean;
}

/**
 * Every number between two bounds, of which either may lack, in decimal notation without an exponent: digits before the point
 * as far as a double tells whole numbers apart, and behind it some sixteen beyond those of the bounds.
 */
export function numberBetween(low: Bound | undefined, high: Bound | undefined): Sequence[] {
  const alternatives: Sequence[] = [];
  const zero = { value: 0, excluded: false };
  const opposite = (bound: Bound | undefined) => bound && { ...bound, value: -bound.value };
  if (!low || low.value < 0) {
    const least = high && high.value <= 0 ? opposite(high)! : zero;
    for (const digits of magnitudeBetween(least, opposite(low))) alternatives.push([{ text: '-' }, ...digits]);
  }
  if (!high || high.value >= 0) {
    alternatives.push(...magnitudeBetween(low && low.value >= 0 ? low : zero, high));
  }
  return alternatives;
}

function magnitudeBetween(low: Bound, high: Bound | undefined): Sequence[] {
  const most = high && high.value <= Number.MAX_SAFE_INTEGER ? high : undefined;
  const [from, to] = [decimal(low.value), most && decimal(most.value)];
  const last = to ? to.whole : Number.MAX_SAFE_INTEGER;
  if (from.whole > last) return [];
  const least = { digits: from.fraction, excluded: low.excluded };
  const limit = to && { digits: to.fraction, excluded: most!.excluded };
  const behind = (wholes: Sequence[], fractions: Sequence[]) =>
    wholes.flatMap(whole => fractions.map(digits => [...whole, ...(digits.length ? [{ text: '.' }, ...digits] : [])]));
  if (from.whole === last) return behind([[{ text: String(last) }]], fractionBetween(least, limit));
  return [
    ...behind([[{ text: String(from.whole) }]], fractionBetween(least, undefined)),
    ...(from.whole + 1 < last ? behind(unsigned(from.whole + 1, last - 1), fractionBetween(undefined, undefined)) : []),
    ...behind([[{ text: String(last) }]], fractionBetween(undefined, limit)),
  ];
}

/** Of a number that is not negative: what stands before the point, and the digits behind it. */
function decimal(value: number): { whole: number; fraction: string } {
  const [mantissa, power] = value.toExponential().split('e');
  const digits = mantissa.replace('.', '');
  const point = Number(power) + 1;
  const fraction = point > 0 ? digits.slice(point) : '0'.repeat(-point) + digits;
  return { whole: Math.floor(value), fraction: fraction.replace(/0+$/, '') };
}

interface FractionBound {
  /** Behind the point, without zeros at the end. */
  digits: string;
  excluded: boolean;
}

/** Digits behind the point of what lies between; none at all stands for zero. */
function fractionBetween(low: FractionBound | undefined, high: FractionBound | undefined): Sequence[] {
  const some = (from: string, to: string): Sequence => [{ repeat: [digits(from, to, 1)], min: 1, max: fractionDigits }];
  if (high?.digits === '') {
    const isZero = !high.excluded && (!low || (low.digits === '' && !low.excluded));
    return isZero ? [[], some('0', '0')] : [];
  }
  if (!high && !low?.digits) {
    if (!low?.excluded) return [[], some('0', '9')];
    const zeros: Term = { repeat: [digits('0', '0', 1)], min: 0, max: fractionDigits };
    return [[], some('0', '9')].map(rest => [zeros, digits('1', '9', 1), ...rest]);
  }
  const [first, last] = [Number(low?.digits[0] ?? 0), Number(high?.digits[0] ?? 9)];
  const behind = (digit: number, low: FractionBound | undefined, high: FractionBound | undefined) =>
    fractionBetween(low && rest(low), high && rest(high)).map(more => [
      digits(String(digit), String(digit), 1),
      ...more,
    ]);
  const none: Sequence[] = low?.digits || low?.excluded ? [] : [[]];
  if (first === last) return [...none, ...behind(first, low, high)];
  const between = first + 1 < last ? [digits(String(first + 1), String(last - 1), 1)] : undefined;
  return [
    ...none,
    ...behind(first, low, undefined),
    ...(between ? [between, [...between, ...some('0', '9')]] : []),
    ...behind(last, undefined, high),
  ];
}

function rest({ digits, excluded }: FractionBound): FractionBound {
  return { digits: digits.slice(1), excluded };
}

function digits(from: string, to: string, count: number): Term {
  const digit: Term = { bytes: [[from.charCodeAt(0), to.charCodeAt(0)]] };
  return count === 1 ? digit : { repeat: [digit], min: count, max: count };
}
