import type { Answer } from './notation.ts';
import { Parser } from './parser.ts';
import { tokenize } from './tokens.ts';

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
