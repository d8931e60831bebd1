import {
  compare,
  Decimal,
  decimal,
  inRange,
  integer,
  inverse,
  isRational,
  NoValue,
  negative,
  ONE,
  plus,
  type Real,
  root,
  same,
  settled,
  sign,
  times,
  ZERO,
} from './real.ts';

/** re + im·i. */
export interface Complex {
  re: Real;
  im: Real;
}

export const I: Complex = { re: ZERO, im: ONE };
/** Roots of higher degree are powers. */
const MAX_DEGREE = 100n;

export function fromReal(re: Real): Complex {
  return { re, im: ZERO };
}

export function isReal({ im }: Complex): boolean {
  return sign(im) === 0;
}

/** @throws NoValue for a number that is not real */
export function real(z: Complex): Real {
  if (!isReal(z)) throw new NoValue('not real');
  return z.re;
}

/** Equal exactly where both are rational, and within what rounding leaves otherwise. */
export function sameNumber(a: Complex, b: Complex): boolean {
  if ([a.re, a.im, b.re, b.im].every(isRational)) return compare(a.re, b.re) === 0 && compare(a.im, b.im) === 0;
  const [x, y, u, v] = [a.re, b.re, a.im, b.im].map(decimal);
  const scale = Decimal.max(...[x, y, u, v].map(value => value.abs()));
  return same(x, y, scale) && same(u, v, scale);
}

export function add(a: Complex, b: Complex): Complex {
  return { re: plus(a.re, b.re), im: plus(a.im, b.im) };
}

export function negate(z: Complex): Complex {
  return { re: negative(z.re), im: negative(z.im) };
}

export function multiply(a: Complex, b: Complex): Complex {
  return {
    re: plus(times(a.re, b.re), negative(times(a.im, b.im))),
    im: plus(times(a.re, b.im), times(a.im, b.re)),
  };
}

export function divide(a: Complex, b: Complex): Complex {
  if (isReal(b)) return multiply(a, fromReal(inverse(b.re)));
  const conjugate = { re: b.re, im: negative(b.im) };
  return multiply(multiply(a, conjugate), fromReal(inverse(square(b))));
}

export function absolute(z: Complex): Complex {
  if (isReal(z)) return fromReal(sign(z.re) < 0 ? negative(z.re) : z.re);
  return fromReal(root(square(z), 2));
}

/** The principal power: exact for integers, and for roots that are rational. */
export function power(base: Complex, exponent: Complex): Complex {
  if (isReal(exponent) && isRational(exponent.re)) {
    const whole = integer(exponent.re);
    if (whole !== undefined) return whole < 0n ? divide(fromReal(ONE), raise(base, -whole)) : raise(base, whole);
    const { numerator, denominator } = exponent.re;
    if (isReal(base) && sign(base.re) >= 0 && denominator <= MAX_DEGREE) {
      return power(fromReal(root(base.re, Number(denominator))), fromReal({ numerator, denominator: 1n }));
    }
  }
  if (isReal(base) && sign(base.re) === 0) {
    if (sign(real(exponent)) <= 0) throw new NoValue('0 to a power that is not positive');
    return base;
  }
  return exponential(multiply(exponent, logarithm(base)));
}

/** The root that is meant by a radical: real where the radicand is and has one. */
export function radical(z: Complex, degree: Complex): Complex {
  const n = integer(real(degree));
  if (n !== undefined && n > 0n && n <= MAX_DEGREE && isReal(z)) {
    if (sign(z.re) >= 0) return fromReal(root(z.re, Number(n)));
    const size = root(negative(z.re), Number(n));
    if (n % 2n === 1n) return fromReal(negative(size));
    if (n === 2n) return { re: ZERO, im: size };
  }
  return power(z, divide(fromReal(ONE), degree));
}

export function exponential({ re, im }: Complex): Complex {
  const size = sign(re) === 0 ? ONE : inRange(decimal(re).exp());
  if (sign(im) === 0) return fromReal(size);
  return { re: times(size, settled(decimal(im).cos())), im: times(size, settled(decimal(im).sin())) };
}

/** The principal natural logarithm. */
export function logarithm(z: Complex): Complex {
  const size = real(absolute(z));
  if (sign(size) === 0) throw new NoValue('logarithm of 0');
  const angle = isReal(z) && sign(z.re) > 0 ? ZERO : Decimal.atan2(decimal(z.im), decimal(z.re));
  return { re: settled(decimal(size).ln()), im: angle };
}

function square({ re, im }: Complex): Real {
  return plus(times(re, re), times(im, im));
}

/** By repeated squaring, in which what grows too large ends soon. */
function raise(base: Complex, exponent: bigint): Complex {
  let result = fromReal(ONE);
  let factor = base;
  for (let rest = exponent; ; factor = multiply(factor, factor)) {
    if (rest & 1n) result = multiply(result, factor);
    rest >>= 1n;
    if (rest === 0n) return result;
  }
}
