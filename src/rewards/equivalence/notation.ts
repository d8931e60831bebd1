import { Parser } from './parser.ts';
import { tokenize } from './tokens.ts';

/** A value, with what is done to which operands to get it. */
export type Expression =
  | { kind: 'number'; digits: string }
  | { kind: 'symbol'; name: string }
  | { kind: 'apply'; name: string; operands: Answer[] };

/** What an answer says, apart from how it is put on the page. */
export type Answer =
  | Expression
  | { kind: 'words'; text: string }
  /** In any order: sets, lists of solutions; `joint` is what stands between them. */
  | { kind: 'set'; items: Answer[]; joint: string }
  /** In order, with their brackets: tuples, intervals, the rows of a matrix; `:` for ratios. */
  | { kind: 'sequence'; brackets: string; items: Answer[] }
  /** Sides with a sign between each two. */
  | { kind: 'relation'; sides: Side[]; signs: string[] }
  | { kind: 'combination'; sign: string; left: Answer; right: Answer }
  | { kind: 'quantity'; value: Answer; unit: string }
  | { kind: 'based'; digits: string; base: string };

export interface Side {
  value: Answer;
  /** Whether it only names what the other side says: `x`, `f(x)`, `AB`. */
  isName: boolean;
}

/** Numbers with a comma before each three digits. */
const grouped = /(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?!\d|,\d)/g;

/**
 * Reads an answer as it stands in a box: none where it is no mathematics that is known here, and two where its commas can
 * stand between thousands or between items (`100,200`).
 */
export function readAnswer(text: string): Answer[] {
  const plain = text
    .replace(/[\s$]+$/, '')
    .replace(/(?<!\.)\.$/, '')
    .replace(grouped, number => (number.includes(',0') ? ungrouped(number) : number));
  const isBracketed = /[([]|\\\{|\\lbrace/.test(plain);
  const readings = new Set(isBracketed ? [plain] : [plain.replace(grouped, ungrouped), plain]);
  return [...readings].flatMap(reading => new Parser(tokenize(reading)).answer() ?? []);
}

function ungrouped(number: string): string {
  return number.replaceAll(',', '');
}

export function apply(name: string, ...operands: Answer[]): Answer {
  return { kind: 'apply', name, operands };
}

export function difference(a: Answer, b: Answer): Answer {
  return apply('add', a, apply('negate', b));
}
