import { ComputeEngine } from '@cortex-js/compute-engine';
import { canonicalDecimal } from '../decimal.ts';
import { type Answer, readAnswer } from './notation.ts';

/** Relative difference below which two values are one: that of rounding, not of a rounded answer. */
const TOLERANCE = 1e-9;
/** Values for unknowns; expressions that agree on all of these are taken for equal (Schwartz–Zippel). */
const POINTS = [0.5772156649, 1.2020569031, 2.685452001];

const engine = new ComputeEngine();

type Expression = ReturnType<typeof engine.parse>;

/** Whether two answers in LaTeX mean the same. Nothing in them is executed, only parsed and evaluated as mathematics. */
export function sameMath(a: string, b: string): boolean {
  return same(readAnswer(a), readAnswer(b));
}

function same(a: Answer, b: Answer): boolean {
  if (a.kind === 'expression' && b.kind === 'expression') return sameExpression(a.latex, b.latex);
  if (a.kind === 'words' && b.kind === 'words') return sameWords(a.text, b.text);
  if (a.kind === 'set' && b.kind === 'set') return sameItems(a.items, b.items);
  if (a.kind === 'sequence' && b.kind === 'sequence') {
    return (
      a.brackets === b.brackets &&
      a.items.length === b.items.length &&
      a.items.every((item, i) => same(item, b.items[i]))
    );
  }
  return false;
}

/** A letter is a symbol, or an option; a word is the same in any case. */
function sameWords(a: string, b: string): boolean {
  return a === b || (a.length > 1 && a.toLowerCase() === b.toLowerCase());
}

function sameItems(a: readonly Answer[], b: readonly Answer[]): boolean {
  if (a.length !== b.length) return false;
  const left = [...b];
  return a.every(item => {
    const match = left.findIndex(other => same(item, other));
    if (match >= 0) left.splice(match, 1);
    return match >= 0;
  });
}

function sameExpression(a: string, b: string): boolean {
  if (a.replaceAll(' ', '') === b.replaceAll(' ', '')) return a !== '';
  const [number, other] = [canonicalDecimal(a), canonicalDecimal(b)];
  if (number !== undefined && other !== undefined) return number === other;
  const [sides, others] = [a.split('='), b.split('=')];
  if (sides.length !== others.length) return false;
  return sides.every((side, i) => sameValue(engine.parse(side), engine.parse(others[i])));
}

function sameValue(a: Expression, b: Expression): boolean {
  if (!a.isValid || !b.isValid) return false;
  const unknowns = [...a.unknowns].sort();
  if (unknowns.join() !== [...b.unknowns].sort().join()) return false;
  if (unknowns.length === 0) return sameNumber(a, b);
  return POINTS.every((_, shift) => {
    const values = Object.fromEntries(unknowns.map((name, i) => [name, POINTS[(i + shift) % POINTS.length] + i]));
    return sameNumber(a.subs(values), b.subs(values));
  });
}

function sameNumber(a: Expression, b: Expression): boolean {
  const [p, q] = [a.N(), b.N()];
  if (p.isInfinity && q.isInfinity) return p.isSame(q);
  const size = Math.max(Math.hypot(p.re, p.im), Math.hypot(q.re, q.im));
  return Number.isFinite(size) && Math.hypot(p.re - q.re, p.im - q.im) <= TOLERANCE * size;
}
