import {
  absolute,
  add,
  type Complex,
  divide,
  exponential,
  fromReal,
  I,
  logarithm,
  multiply,
  negate,
  power,
  radical,
  real,
} from './complex.ts';
import type { Answer } from './notation.ts';
import {
  compare,
  Decimal,
  decimal,
  floor,
  integer,
  NoValue,
  negative,
  ONE,
  parseDecimal,
  type Real,
  rational,
  settled,
  sign,
} from './real.ts';

/** Values of the unknowns. */
export type Point = ReadonlyMap<string, Complex>;

type Operation = (...values: Complex[]) => Complex;

const TWO = fromReal(rational(2n));
const PI = fromReal(Decimal.acos(-1));
const DEGREE = divide(PI, fromReal(rational(180n)));
const PERCENT = fromReal(rational(1n, 100n));
/** Beyond this exponent (of 10), an angle says nothing about where on the circle it is. */
const MAX_ANGLE_EXPONENT = 20;
const MAX_FACTORIAL = 10_000n;

const constants: Point = new Map([
  ['pi', PI],
  ['e', fromReal(Decimal.exp(1))],
  ['i', I],
]);

const marks: Record<string, Complex> = { degrees: DEGREE, percent: PERCENT };

const operations: Record<string, Operation> = {
  add,
  negate,
  multiply,
  divide,
  power,
  root: radical,
  abs: absolute,
  exp: exponential,
  ln: logarithm,
  log: (base, z) => divide(logarithm(z), logarithm(base)),
  floor: onReals(floor),
  ceil: onReals(x => negative(floor(negative(x)))),
  factorial: onReals(n => rational(product(natural(n), 1n))),
  doubleFactorial: onReals(n => rational(product(natural(n), 2n))),
  binomial: onReals((n, k) => binomial(natural(n), natural(k))),
  min: onReals((...values) => values.reduce((a, b) => (compare(a, b) <= 0 ? a : b))),
  max: onReals((...values) => values.reduce((a, b) => (compare(a, b) >= 0 ? a : b))),
  gcd: onReals((...values) => rational(values.map(natural).reduce(gcd))),
  lcm: onReals((...values) => rational(values.map(natural).reduce((a, b) => (a === 0n ? 0n : (a * b) / gcd(a, b))))),
  sin: onAngle(x => x.sin()),
  cos: onAngle(x => x.cos()),
  tan: z => divide(operations.sin(z), operations.cos(z)),
  cot: z => divide(operations.cos(z), operations.sin(z)),
  sec: z => divide(fromReal(ONE), operations.cos(z)),
  csc: z => divide(fromReal(ONE), operations.sin(z)),
  arcsin: onReals(x => settled(decimal(x).asin())),
  arccos: onReals(x => settled(decimal(x).acos())),
  arctan: onReals(x => settled(decimal(x).atan())),
  arccot: z => operations.arctan(divide(fromReal(ONE), z)),
  arcsec: z => operations.arccos(divide(fromReal(ONE), z)),
  arccsc: z => operations.arcsin(divide(fromReal(ONE), z)),
  sinh: z => divide(add(exponential(z), negate(exponential(negate(z)))), TWO),
  cosh: z => divide(add(exponential(z), exponential(negate(z))), TWO),
  tanh: z => divide(operations.sinh(z), operations.cosh(z)),
};

/**
 * The value of an expression; undefined where it has none, or none that can be told within the bounds. Degrees and percent
 * outside of functions can be taken for the units in which a number is given, instead of for factors.
 */
export function evaluate(expression: Answer, point: Point, marksAreUnits = false): Complex | undefined {
  try {
    return calculate(expression, point, marksAreUnits);
  } catch (error) {
    if (error instanceof NoValue) return undefined;
    throw error;
  }
}

/** The names of all unknowns in an answer, added to `names`. */
export function unknowns(answer: Answer, names = new Set<string>()): Set<string> {
  if (answer.kind === 'symbol' && !constants.has(answer.name)) names.add(answer.name);
  for (const part of parts(answer)) unknowns(part, names);
  return names;
}

function parts(answer: Answer): readonly Answer[] {
  switch (answer.kind) {
    case 'apply':
      return answer.operands;
    case 'set':
    case 'sequence':
      return answer.items;
    case 'relation':
      return answer.sides.map(side => side.value);
    case 'combination':
      return [answer.left, answer.right];
    case 'quantity':
      return [answer.value];
    default:
      return [];
  }
}

/** Whether degrees or percent stand outside of functions. */
export function isMarked(answer: Answer): boolean {
  if (answer.kind !== 'apply') return false;
  return answer.name in marks || (isArithmetic(answer.name) && answer.operands.some(isMarked));
}

function calculate(expression: Answer, point: Point, marksAreUnits: boolean): Complex {
  if (expression.kind === 'number') return fromReal(parseDecimal(expression.digits));
  if (expression.kind === 'symbol') {
    const value = constants.get(expression.name) ?? point.get(expression.name);
    if (!value) throw new NoValue(`nothing is known of ${expression.name}`);
    return value;
  }
  if (expression.kind !== 'apply') throw new NoValue(`no value: ${expression.kind}`);
  const { name, operands } = expression;
  const inner = marksAreUnits && (isArithmetic(name) || name in marks);
  const values = operands.map(operand => calculate(operand, point, inner));
  if (name in marks) return marksAreUnits ? values[0] : multiply(values[0], marks[name]);
  if (!Object.hasOwn(operations, name)) throw new NoValue(`nothing is known of ${name}`);
  return operations[name](...values);
}

function isArithmetic(name: string): boolean {
  return ['add', 'negate', 'multiply', 'divide'].includes(name);
}

function onReals(operation: (...values: Real[]) => Real): Operation {
  return (...values) => fromReal(operation(...values.map(real)));
}

function onAngle(ratio: (angle: InstanceType<typeof Decimal>) => InstanceType<typeof Decimal>): Operation {
  return onReals(x => {
    const angle = decimal(x);
    if (angle.e > MAX_ANGLE_EXPONENT) throw new NoValue('too large an angle');
    return settled(ratio(angle));
  });
}

function natural(value: Real): bigint {
  const whole = integer(value);
  if (whole === undefined || sign(value) < 0) throw new NoValue('no natural number');
  return whole;
}

/** n(n − step)(n − 2 step)… */
function product(n: bigint, step: bigint): bigint {
  if (n > MAX_FACTORIAL) throw new NoValue('too large');
  let result = 1n;
  for (let factor = n; factor > 1n; factor -= step) result *= factor;
  return result;
}

function binomial(n: bigint, k: bigint): Real {
  const [few, from] = k > n - k ? [n - k, k] : [k, n - k];
  if (few < 0n) return rational(0n);
  if (few > MAX_FACTORIAL) throw new NoValue('too large');
  let result = rational(1n);
  for (let i = 1n; i <= few; i++) result = rational((result.numerator * (from + i)) / i);
  return result;
}

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}
