import { isMarked, unknowns } from './evaluate.ts';
import { areProportional, isIdentity } from './identity.ts';
import { type Answer, apply, difference, type Expression } from './notation.ts';
import { readAnswer } from './read.ts';
import { sameRealSet } from './realSet.ts';
import { tokenize } from './tokens.ts';
import { canonicalUnit } from './units.ts';

type Of<Kind extends Answer['kind']> = Extract<Answer, { kind: Kind }>;

/** Whether two answers, in LaTeX or plain, mean the same. Nothing in them is executed, only read and calculated. */
export function sameMath(a: string, b: string): boolean {
  const [left, right] = [spelling(a), spelling(b)];
  if (left === right) return left !== '';
  const others = readAnswer(b);
  return readAnswer(a).some(answer => others.some(other => same(answer, other)));
}

function spelling(text: string): string {
  return tokenize(text)
    .map(token => token.text)
    .join(' ');
}

function same(a: Answer, b: Answer): boolean {
  if (isValue(a) && isValue(b)) return isIdentity(a, b);
  if (a.kind === b.kind && sameOfKind(a, b)) return true;
  if (a.kind !== b.kind && (sameAcross(a, b) || sameAcross(b, a))) return true;
  return !isValue(a) && !isValue(b) && !(isListed(a) && isListed(b)) && sameRealSet(a, b);
}

/** Whether it lists its items, which are then compared one by one. */
function isListed(answer: Answer): boolean {
  return answer.kind === 'sequence' || (answer.kind === 'set' && answer.items.every(isValue));
}

function isValue(answer: Answer): answer is Expression {
  return (
    answer.kind === 'number' || answer.kind === 'apply' || (answer.kind === 'symbol' && answer.name !== 'mathbb{R}')
  );
}

function sameOfKind(a: Answer, b: Answer): boolean {
  if (a.kind === 'words' && b.kind === 'words') return sameWords(a.text, b.text);
  if (a.kind === 'set' && b.kind === 'set') return sameItems(a, b);
  if (a.kind === 'sequence' && b.kind === 'sequence') return sameSequence(a, b);
  if (a.kind === 'relation' && b.kind === 'relation') return sameRelation(a, b);
  if (a.kind === 'based' && b.kind === 'based') return a.base === b.base && a.digits === b.digits;
  if (a.kind === 'combination' && b.kind === 'combination') return sameParts(a, b);
  if (a.kind === 'quantity' && b.kind === 'quantity') {
    return (canonicalUnit(a.unit) ?? a.unit) === (canonicalUnit(b.unit) ?? b.unit) && same(a.value, b.value);
  }
  return false;
}

/** Where only one says what the other leaves to the question: a name, a unit, a base. */
function sameAcross(a: Answer, b: Answer): boolean {
  if (a.kind === 'relation') return sameAsNamed(a, b);
  if (a.kind === 'quantity') return isCount(a) && (isMarked(a.value) || !isMarked(b)) && same(a.value, b);
  if (a.kind === 'based') return b.kind === 'number' && b.digits === a.digits;
  if (a.kind === 'set' && b.kind === 'sequence') return isTuple(b) && sameInOrder(assigned(a), b.items);
  if (a.kind === 'sequence' && isValue(b)) return a.brackets === ':' && a.items.length === 2 && same(ratio(a.items), b);
  return false;
}

/** A letter is a symbol, or an option; a word is the same in any case. */
function sameWords(a: string, b: string): boolean {
  return a.replaceAll(' ', '').toLowerCase() === b.replaceAll(' ', '').toLowerCase();
}

/** In any order, unless the items of one have names of their own, which the other leaves out. */
function sameItems(a: Of<'set'>, b: Of<'set'>): boolean {
  if (a.items.length !== b.items.length || (a.joint !== b.joint && [a.joint, b.joint].every(isConjunction)))
    return false;
  if (assigned(a) && !b.items.some(isNamed)) return sameInOrder(assigned(a), b.items);
  if (assigned(b) && !a.items.some(isNamed)) return sameInOrder(assigned(b), a.items);
  const left = [...b.items];
  return a.items.every(item => {
    const match = left.findIndex(other => same(item, other));
    if (match >= 0) left.splice(match, 1);
    return match >= 0;
  });
}

function isConjunction(joint: string): boolean {
  return joint === 'and' || joint === 'or';
}

function sameInOrder(a: readonly Answer[] | undefined, b: readonly Answer[]): boolean {
  return a?.length === b.length && a.every((item, i) => same(item, b[i]));
}

/** The values of `a = 3, b = 4`, whose names are different letters; undefined for anything else. */
function assigned({ items }: Of<'set'>): Answer[] | undefined {
  const names = items.map(item =>
    isNamed(item) && item.sides[0].value.kind === 'symbol' ? item.sides[0].value.name : '',
  );
  const letters = new Set(names.map(name => name.replace(/_.*/, '')));
  return letters.size === items.length && !letters.has('')
    ? items.map(item => (item as Of<'relation'>).sides[1].value)
    : undefined;
}

function isNamed(answer: Answer): answer is Of<'relation'> {
  return answer.kind === 'relation' && answer.signs.join() === '=' && answer.sides[0].isName;
}

function sameSequence(a: Of<'sequence'>, b: Of<'sequence'>): boolean {
  if (isTuple(a) !== isTuple(b)) return sameInOrder(vector(a), vector(b) ?? []);
  if (a.brackets !== b.brackets) return false;
  if (sameInOrder(a.items, b.items)) return true;
  return a.brackets === ':' && !isClock(a) && !isClock(b) && sameRatio(a.items, b.items);
}

function isTuple({ brackets }: Of<'sequence'>): boolean {
  return brackets === '()';
}

/** The items of a tuple, or of a matrix of one column or row. */
function vector(answer: Of<'sequence'>): Answer[] | undefined {
  if (isTuple(answer)) return answer.items;
  const rows = answer.brackets === 'matrix' ? answer.items.map(row => (row.kind === 'sequence' ? row.items : [])) : [];
  return rows.length === 1 || rows.every(row => row.length === 1) ? rows.flat() : undefined;
}

function sameRatio(a: Answer[], b: Answer[]): boolean {
  return a.length === b.length && a.slice(1).every((_, i) => same(ratio(a.slice(i)), ratio(b.slice(i))));
}

function ratio([first, second]: Answer[]): Answer {
  return apply('divide', first, second);
}

/** `7:30`, which is no ratio. */
function isClock({ items }: Of<'sequence'>): boolean {
  const minutes = items[1].kind === 'quantity' ? items[1].value : items[1];
  return minutes.kind === 'number' && /^[0-5]\d$/.test(minutes.digits);
}

/** Equations and inequalities are the same however they are rearranged. */
function sameRelation(a: Of<'relation'>, b: Of<'relation'>): boolean {
  const [left, right] = [ascending(a), ascending(b)];
  if (left.signs.join() !== right.signs.join()) return false;
  if (left.sides.every((side, i) => same(side.value, right.sides[i].value))) return true;
  if (left.signs.length > 1 || left.signs[0] === 'in') return false;
  const [x, y] = [left, right].map(({ sides }) => difference(sides[0].value, sides[1].value));
  return areProportional(x, y, left.signs[0].startsWith('<'));
}

/** With `<` for `>`. */
function ascending({ kind, sides, signs }: Of<'relation'>): Of<'relation'> {
  if (!signs[0].startsWith('>')) return { kind, sides, signs };
  return { kind, sides: [...sides].reverse(), signs: signs.map(sign => sign.replace('>', '<')).reverse() };
}

/** `x = 5` and 5, `x \in A` and A. */
function sameAsNamed({ sides, signs }: Of<'relation'>, other: Answer): boolean {
  if (!signs.every(sign => sign === '=' || sign === 'in')) return false;
  if (sides[0].isName) return same(sides[sides.length - 1].value, other);
  return sides.length === 2 && signs[0] === '=' && sides[1].isName && same(sides[0].value, other);
}

/** `12 apples` is 12, `12 or more` is not. */
function isCount({ value, unit }: Of<'quantity'>): boolean {
  return canonicalUnit(unit) !== undefined && unknowns(value).size === 0;
}

function sameParts(a: Of<'combination'>, b: Of<'combination'>): boolean {
  if (a.sign !== b.sign) return false;
  if (same(a.left, b.left) && same(a.right, b.right)) return true;
  return a.sign !== 'difference' && same(a.left, b.right) && same(a.right, b.left);
}
