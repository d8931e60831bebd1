import { fromReal, isReal } from './complex.ts';
import { evaluate, type Point, unknowns } from './evaluate.ts';
import { type Answer, difference } from './notation.ts';
import { compare, inverse, negative, ONE, plus, type Real, rational, sign, times } from './real.ts';

/** Reals of which only these bounds decide whether one is in. */
interface RealSet {
  bounds: Real[];
  has(x: Real): boolean;
}

/** Values by which a line is told from a curve, from an absolute value and from steps. */
const PROBES = [rational(-991n, 3n), rational(-7n, 2n), rational(5n, 3n), rational(1013n, 2n)];
const HALF = rational(1n, 2n);
const known = new Set(['infty', 'mathbb{R}']);
const REALS: RealSet = { bounds: [], has: () => true };

/** Whether both answers say which reals they mean, and mean the same: intervals, inequalities, unions, ℝ without 2. */
export function sameRealSet(a: Answer, b: Answer): boolean {
  const [left, right] = [realSet(a), realSet(b)];
  if (!left || !right || !isOfOneUnknown(a, b)) return false;
  return samples([...left.bounds, ...right.bounds]).every(x => left.has(x) === right.has(x));
}

function isOfOneUnknown(a: Answer, b: Answer): boolean {
  const [name, other] = [a, b].map(answer => [...unknowns(answer)].filter(each => !known.has(each)).join());
  return name === other || name === '' || other === '';
}

/** Every bound, and a value on each side of it. */
function samples(bounds: Real[]): Real[] {
  if (bounds.length === 0) return [ONE];
  const sorted = [...bounds].sort(compare);
  const between = sorted.slice(1).map((bound, i) => times(HALF, plus(sorted[i], bound)));
  return [plus(sorted[0], negative(ONE)), ...sorted, ...between, plus(sorted[sorted.length - 1], ONE)];
}

function realSet(answer: Answer): RealSet | undefined {
  switch (answer.kind) {
    case 'symbol':
      return answer.name === 'mathbb{R}' ? REALS : undefined;
    case 'sequence':
      return interval(answer.items, answer.brackets);
    case 'set':
      return several(answer.items, answer.joint);
    case 'relation':
      return solutions(answer);
    case 'combination':
      return combined(answer.sign, [realSet(answer.left), realSet(answer.right)]);
    default:
      return undefined;
  }
}

function combined(how: string, parts: (RealSet | undefined)[]): RealSet | undefined {
  const sets = parts.filter(part => part !== undefined);
  if (sets.length < parts.length) return undefined;
  const bounds = sets.flatMap(set => set.bounds);
  const [first, ...others] = sets;
  if (how === 'union') return { bounds, has: x => sets.some(set => set.has(x)) };
  if (how === 'intersection') return { bounds, has: x => sets.every(set => set.has(x)) };
  return { bounds, has: x => first.has(x) && !others.some(set => set.has(x)) };
}

/** Numbers, or conditions: behind a comma, `x \ne 2` restricts what stands before it. */
function several(items: Answer[], joint: string): RealSet | undefined {
  const values = items.map(item => realValue(item));
  if (values.every(value => value !== undefined)) return points(values);
  const isRestricted = items.some(item => item.kind === 'relation' && item.signs.includes('!='));
  if (joint !== 'or' && joint !== 'and' && !isRestricted) return undefined;
  return combined(joint === 'or' ? 'union' : 'intersection', items.map(realSet));
}

function points(values: Real[]): RealSet {
  return { bounds: values, has: x => values.some(value => compare(x, value) === 0) };
}

function interval(items: Answer[], brackets: string): RealSet | undefined {
  if (items.length !== 2 || !/^[([][)\]]$/.test(brackets)) return undefined;
  const [low, high] = items.map(item => infinity(item) ?? realValue(item));
  if (low === undefined || high === undefined || low === Infinity || high === -Infinity) return undefined;
  const above = typeof low === 'number' ? REALS : beyond(low, 1, brackets[0] === '[');
  const below = typeof high === 'number' ? REALS : beyond(high, -1, brackets[1] === ']');
  if (typeof low !== 'number' && typeof high !== 'number' && compare(low, high) >= 0) return undefined;
  return combined('intersection', [above, below]);
}

/** Above (1) or below (−1) a bound, with or without it. */
function beyond(bound: Real, side: number, isClosed: boolean): RealSet {
  return {
    bounds: [bound],
    has: x => {
      const order = compare(x, bound);
      return order === side || (isClosed && order === 0);
    },
  };
}

/** What fulfils a chain of linear relations in one unknown. */
function solutions({ sides, signs }: Extract<Answer, { kind: 'relation' }>): RealSet | undefined {
  return combined(
    'intersection',
    signs.map((relation, i) => {
      if (relation === 'in') return realSet(sides[i + 1].value);
      return linear(difference(sides[i].value, sides[i + 1].value), relation);
    }),
  );
}

/** Where `slope·x + start`, as which the expression turns out, has this relation to 0. */
function linear(expression: Answer, relation: string): RealSet | undefined {
  const names = [...unknowns(expression)];
  if (names.length !== 1) return undefined;
  const values = PROBES.map(probe => realValue(expression, new Map([[names[0], fromReal(probe)]])));
  if (values.some(value => value === undefined)) return undefined;
  const slopes = PROBES.slice(1).map((probe, i) => {
    return times(plus(values[i + 1]!, negative(values[i]!)), inverse(plus(probe, negative(PROBES[i]))));
  });
  const [slope] = slopes;
  if (sign(slope) === 0 || slopes.some(other => compare(slope, other) !== 0)) return undefined;
  const bound = plus(PROBES[0], negative(times(values[0]!, inverse(slope))));
  if (relation === '=') return points([bound]);
  if (relation === '!=') return combined('difference', [REALS, points([bound])]);
  return beyond(bound, relation.startsWith('>') ? sign(slope) : -sign(slope), relation.endsWith('='));
}

function realValue(answer: Answer, point: Point = new Map()): Real | undefined {
  const value = evaluate(answer, point);
  return value && isReal(value) ? value.re : undefined;
}

/** ±Infinity; undefined for anything else. */
function infinity(answer: Answer): number | undefined {
  if (answer.kind === 'symbol' && answer.name === 'infty') return Infinity;
  if (answer.kind !== 'apply' || answer.name !== 'negate') return undefined;
  return infinity(answer.operands[0]) && -infinity(answer.operands[0])!;
}
