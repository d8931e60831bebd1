import { type Complex, fromReal, isReal, multiply, sameNumber } from './complex.ts';
import { evaluate, isMarked, type Point, unknowns } from './evaluate.ts';
import type { Answer } from './notation.ts';
import { rational, sign } from './real.ts';

/**
 * Values for unknowns: the first point has 7, 12, 17… Expressions that agree on all points are taken for equal
 * (Schwartz–Zippel). Factorials have values at the natural ones only; the negative ones tell |x| from x.
 */
const POINTS = [
  { first: [7n, 1n], step: 5n },
  { first: [4n, 1n], step: 9n },
  { first: [5n, 3n], step: 2n },
  { first: [2n, 7n], step: 3n },
  { first: [-8n, 5n], step: -1n },
  { first: [-9n, 4n], step: 2n },
] as const;
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

function values(names: string[], { first, step }: (typeof POINTS)[number]): Point {
  return new Map(names.map((name, i) => [name, fromReal(rational(first[0] + BigInt(i) * step, first[1]))]));
}

/** Roots and logarithms of negative numbers are equal to less than those of positive ones: only real values are compared. */
function isNegative(point: Point): boolean {
  return [...point.values()].some(({ re }) => sign(re) < 0);
}

function isZero({ re, im }: Complex): boolean {
  return sign(re) === 0 && sign(im) === 0;
}
