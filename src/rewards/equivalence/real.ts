import { Decimal as AnyDecimal } from 'decimal.js';

/** A fraction with a positive denominator, exact, not always reduced. */
export interface Rational {
  numerator: bigint;
  denominator: bigint;
}

/** Rational values are exact; all others are decimals of `DIGITS` digits. */
export type Real = Rational | AnyDecimal;

/** What has no value, or none that can be told from its neighbours within the bounds on time and memory. */
export class NoValue extends Error {}

const DIGITS = 100;
export const Decimal = AnyDecimal.clone({ precision: DIGITS });
/** Relative difference below which two decimals are one: what rounding leaves of that many digits. */
const RESOLUTION = new Decimal('1e-80');
/** What is left of a sum when its terms cancel is nothing if it is less than this part of them. */
const ROUNDING = new Decimal('1e-90');
/** Decimals beyond this power of 10 are known to no more than tens. */
const MAX_FLOOR_EXPONENT = 75;
const MAX_BITS = 1 << 17;
/** Bits of integers that are told apart as decimals: fewer than `RESOLUTION` has. */
const DECIMAL_BITS = 264;

export const ZERO: Rational = { numerator: 0n, denominator: 1n };
export const ONE: Rational = { numerator: 1n, denominator: 1n };

/** @throws NoValue for a denominator of 0, and beyond 2^17 bits */
export function rational(numerator: bigint, denominator = 1n): Rational {
  if (denominator === 0n) throw new NoValue('division by zero');
  if (bits(numerator) > MAX_BITS || bits(denominator) > MAX_BITS) throw new NoValue('too large');
  return denominator < 0n ? { numerator: -numerator, denominator: -denominator } : { numerator, denominator };
}

/** The value of digits as they are written: `12`, `.5`, `1.5e-7`, and `0.1(6)`, whose last digits repeat for ever. */
export function parseDecimal(text: string): Rational {
  const [, whole, fraction = '', repeated = '', exponent = '0'] =
    /^(\d*)\.?(\d*)(?:\((\d+)\))?(?:[eE]([+-]?\d+))?$/.exec(text)!;
  const scale = 10n ** BigInt(fraction.length);
  const start = rational(BigInt(whole + fraction), scale);
  const tail = repeated ? rational(BigInt(repeated), scale * (10n ** BigInt(repeated.length) - 1n)) : ZERO;
  const shift = Number(exponent);
  if (Math.abs(shift) * 4 > MAX_BITS) throw new NoValue('too large');
  const power = 10n ** BigInt(Math.abs(shift));
  return times(plus(start, tail), shift < 0 ? rational(1n, power) : rational(power)) as Rational;
}

export function isRational(value: Real): value is Rational {
  return !(value instanceof AnyDecimal);
}

/** The value as an integer; undefined where it is none, or is not known to be one. */
export function integer(value: Real): bigint | undefined {
  if (!isRational(value) || value.numerator % value.denominator !== 0n) return undefined;
  return value.numerator / value.denominator;
}

/** −1, 0 or 1. */
export function sign(value: Real): number {
  if (!isRational(value)) return value.isZero() ? 0 : value.s;
  return value.numerator === 0n ? 0 : value.numerator < 0n ? -1 : 1;
}

/** The sign of a − b, which is 0 where rounding cannot tell them apart. */
export function compare(a: Real, b: Real): number {
  if (isRational(a) && isRational(b)) return sign(plus(a, negative(b)));
  const [x, y] = [decimal(a), decimal(b)];
  return same(x, y, Decimal.max(x.abs(), y.abs())) ? 0 : x.cmp(y);
}

/** Whether two decimals differ by no more than rounding, in values of size `scale`. */
export function same(x: AnyDecimal, y: AnyDecimal, scale: AnyDecimal): boolean {
  return x.minus(y).abs().lte(scale.times(RESOLUTION));
}

/** @throws NoValue where digits would be lost that make a difference */
export function decimal(value: Real): AnyDecimal {
  if (!isRational(value)) return value;
  const { numerator, denominator } = value;
  if (bits(numerator) > DECIMAL_BITS || bits(denominator) > DECIMAL_BITS) throw new NoValue('too many digits');
  return new Decimal(String(numerator)).div(String(denominator));
}

export function negative(value: Real): Real {
  return isRational(value) ? { ...value, numerator: -value.numerator } : value.neg();
}

/** @throws NoValue where one of them is too small to show beside the other */
export function plus(a: Real, b: Real): Real {
  if (isRational(a) && isRational(b)) {
    if (a.denominator === b.denominator) return rational(a.numerator + b.numerator, a.denominator);
    return rational(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator);
  }
  if (sign(a) === 0) return b;
  if (sign(b) === 0) return a;
  const [x, y] = [decimal(a), decimal(b)];
  const [small, large] = x.abs().lt(y.abs()) ? [x, y] : [y, x];
  if (small.abs().lt(large.abs().times(RESOLUTION))) throw new NoValue('too far apart');
  return settled(x.plus(y), large);
}

export function times(a: Real, b: Real): Real {
  if (isRational(a) && isRational(b)) return rational(a.numerator * b.numerator, a.denominator * b.denominator);
  return sign(a) === 0 || sign(b) === 0 ? ZERO : inRange(decimal(a).times(decimal(b)));
}

export function inverse(value: Real): Real {
  if (isRational(value)) return rational(value.denominator, value.numerator);
  return inRange(new Decimal(1).div(value));
}

/** The positive nth root of a value that is not negative: exact where it is rational. */
export function root(value: Real, n: number): Real {
  if (sign(value) === 0) return ZERO;
  if (isRational(value)) {
    const [p, q] = [integerRoot(value.numerator, n), integerRoot(value.denominator, n)];
    if (p !== undefined && q !== undefined) return rational(p, q);
  }
  return inRange(n === 2 ? decimal(value).sqrt() : decimal(value).pow(new Decimal(1).div(n)));
}

/** A value in −1…1, or of functions that are about 1 where they are steep: what rounding leaves of 0 is 0. */
export function settled(value: AnyDecimal, scale: AnyDecimal = new Decimal(1)): Real {
  return value.abs().lt(scale.abs().times(ROUNDING)) ? ZERO : inRange(value);
}

/** @throws NoValue beyond what a decimal holds */
export function inRange(value: AnyDecimal): AnyDecimal {
  if (!value.isFinite() || value.isZero()) throw new NoValue('out of range');
  return value;
}

/** The greatest integer that is not above the value. @throws NoValue where its last digits are not known */
export function floor(value: Real): Rational {
  if (!isRational(value)) {
    if (value.e > MAX_FLOOR_EXPONENT) throw new NoValue('too large');
    const near = value.round();
    return rational(BigInt((same(value, near, near.abs()) ? near : value.floor()).toFixed(0)));
  }
  const { numerator, denominator } = value;
  const whole = numerator / denominator;
  return rational(numerator % denominator < 0n ? whole - 1n : whole);
}

/** The integer whose nth power this is; undefined where there is none. */
function integerRoot(value: bigint, n: number): bigint | undefined {
  const power = BigInt(n);
  let guess = 1n << BigInt(Math.ceil(bits(value) / n));
  for (;;) {
    const next = ((power - 1n) * guess + value / guess ** (power - 1n)) / power;
    if (next >= guess) break;
    guess = next;
  }
  return guess ** power === value ? guess : undefined;
}

function bits(value: bigint): number {
  return value.toString(16).length * 4;
}
