import { type Complex, fromReal, isReal, multiply, sameNumber } from './complex.ts';
import { evaluate, isMarked, type Point, unknowns } from './evaluate.ts';
import type { Answer } from './notation.ts';
import { rational, sign } from './real.ts';

/** Powers of `root`, times `first`, in this field are the values of the unknowns: no formula of few terms binds them. */
const FIELD = 23n;
/**
 * Expressions that agree at all of these points are taken for equal (Schwartz–Zippel). Factorials have values at the
 * natural ones only; the unknown that is negative, by its place, tells |x| from x.
 */
const POINTS: readonly { first: bigint; root: bigint; denominator: bigint; negative?: number }[] = [
  { first: 7n, root: 5n, denominator: 1n },
  { first: 4n, root: 7n, denominator: 1n },
  { first: 5n, root: 10n, denominator: 3n },
  { first: 2n, root: 11n, denominator: 7n },
  { first: 8n, root: 14n, denominator: 5n, negative: 0 },
  { first: 9n, root: 15n, denominator: 4n, negative: 1 },
];
/** Points at which both must have a value. */
const ENOUGH = 2;

/** Whether two expressions have the same value, whatever their unknowns are. */
export function isIdentity(a: Answer, b: Answer): boolean {
  return agree(a, b, false) || (isMarked(a) !== isMarked(b) && agree(a, b, true));
}

/** Whether one expression is the other times a number, which has to be positive where `isDirected`. */
export function areProportional(a: Answer, b: Answer, isDirected: boolean): boolean {
  let reference: [Complex, Complex] | undefined;
  const isSame = at(a, b, false, (x, y) => {
    if (isZero(x) || isZero(y)) return isZero(x) && isZero(y);
    reference ??= [x, y];
    if (isDirected && sign(x.re) !== sign(y.re)) return false;
    return sameNumber(multiply(x, reference[1]), multiply(reference[0], y));
  });
  return isSame && reference !== undefined;
}

function agree(a: Answer, b: Answer, marksAreUnits: boolean): boolean {
  return at(a, b, marksAreUnits, sameNumber);
}

/** Whether a statement holds for the values of two expressions at every point where both have one. */
function at(a: Answer, b: Answer, marksAreUnits: boolean, holds: (x: Complex, y: Complex) => boolean): boolean {
  const names = [...unknowns(b, unknowns(a))].sort();
  if (names.length >= FIELD) return false;
  const points = names.length === 0 ? [new Map()] : POINTS.map(point => values(names, point));
  let compared = 0;
  for (const point of points) {
    const [x, y] = [evaluate(a, point, marksAreUnits), evaluate(b, point, marksAreUnits)];
    if (!x || !y || (isNegative(point) && !(isReal(x) && isReal(y)))) continue;
    if (!holds(x, y)) return false;
    compared++;
  }
  return compared >= Math.min(ENOUGH, points.length);
}

function values(names: string[], { first, root, denominator, negative }: (typeof POINTS)[number]): Point {
  return new Map(
    names.map((name, i) => {
      const size = (first * root ** BigInt(i)) % FIELD;
      return [name, fromReal(rational(i === negative ? -size : size, denominator))];
    }),
  );
}

/** Roots and logarithms of negative numbers keep fewer laws than those of positive ones: only real values are compared. */
function isNegative(point: Point): boolean {
  return [...point.values()].some(({ re }) => sign(re) < 0);
}

function isZero({ re, im }: Complex): boolean {
  return sign(re) === 0 && sign(im) === 0;
}
