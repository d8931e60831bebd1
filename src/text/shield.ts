import { randomInt } from 'node:crypto';
import { isObject, mapObject, WrittenNumber } from '../json.ts';
import { asData } from './tokenizer.ts';

// A noncharacter, then a private-use character that says which character stands here.
const ESCAPE = '\uFDD0';
const FIRST_INDEX = 0xe000;
const ESCAPED = /\uFDD0([\uE000-\uF8FF])/g;

// A little more than 1.1e-308, by so many of the smallest doubles that no data can know it.
const FIRST_NUMBER = 2 ** 51 + randomInt(2 ** 48 - 1);
const RAISED_NUMBER = /\d\.\d{1,16}e-308/g;

/**
 * Carries data through a chat template without its being taken for the template's own text.
 *
 * Of data only the characters that can begin or end a control token (`<` and `>`, mostly) are replaced, and put back
 * after control tokens have been found in the rendered text. The template still sees the rest as it is, so trimming,
 * comparing and JSON work as on the data itself; only its searches for markup find nothing in data.
 *
 * In place of a number that JavaScript would write in another way, the template sees one that data does not have.
 *
 * A block marker that is no single token, such as `</tools>`, cannot be told from the same text in data by its ids.
 * In data such a marker gets a space after its first character: `< /tools>`.
 */
export class Shield {
  readonly #alphabet: string[];
  readonly #risky: RegExp;
  readonly #marker: RegExp;
  /** How each number was written that has been raised since text was last lowered. */
  #numbers = new Map<string, string>();

  constructor(controlTokens: string[], template: string) {
    const edges = controlTokens.flatMap(token => [[...token][0], [...token].at(-1)!]);
    this.#alphabet = [...new Set([ESCAPE, ...edges])];
    this.#risky = new RegExp(`[${this.#alphabet.map(codePointEscape).join('')}]`, 'gu');
    this.#marker = textMarkers(controlTokens, template);
  }

  /** Data made ready for a template; in objects and arrays every string, keys included, and every number as it was written. */
  raise<T>(data: T): T {
    return this.#raise(data) as T;
  }

  /** Puts the replaced characters and numbers back. */
  lower(rendered: string): string {
    const numbers = this.#numbers;
    this.#numbers = new Map();
    return rendered
      .replace(RAISED_NUMBER, text => numbers.get(text) ?? text)
      .replace(ESCAPED, (whole, stand: string) => this.#alphabet[stand.charCodeAt(0) - FIRST_INDEX] ?? whole);
  }

  /** Well-formed data that holds no block marker. */
  defuse(text: string): string {
    return asData(text).replace(this.#marker, marker => `${marker[0]} ${marker.slice(1)}`);
  }

  /** The same for JSON, where an escape hides the marker and parsing gives it back. */
  defuseJson(json: string): string {
    return asData(json).replace(
      this.#marker,
      marker => `\\u${marker.charCodeAt(0).toString(16).padStart(4, '0')}${marker.slice(1)}`,
    );
  }

  #raise(value: unknown): unknown {
    if (typeof value === 'string') return this.#raisedText(value);
    if (value instanceof WrittenNumber) return this.#raisedNumber(value);
    if (Array.isArray(value)) return value.map(item => this.#raise(item));
    return isObject(value) ? mapObject(value, (key, item) => [this.#raisedText(key), this.#raise(item)]) : value;
  }

  #raisedText(text: string): string {
    return this.defuse(text).replace(
      this.#risky,
      character => ESCAPE + String.fromCharCode(FIRST_INDEX + this.#alphabet.indexOf(character)),
    );
  }

  #raisedNumber(number: WrittenNumber): number {
    const raised = (FIRST_NUMBER + this.#numbers.size) * Number.MIN_VALUE;
    this.#numbers.set(String(raised), String(number));
    return raised;
  }
}

/** Markers of paired blocks in the template (`<tools>…</tools>`, `[INST]…[/INST]`) and of tool calls that are no control tokens. */
function textMarkers(controlTokens: string[], template: string): RegExp {
  const angles = [...template.matchAll(/<\/([\w-]+)>/g)].map(match => match[1]);
  const brackets = [...template.matchAll(/\[\/([A-Z_]+)\]/g)].map(match => match[1]);
  const markers = [
    ...['tool_call', 'tool_response', ...angles].flatMap(name => [`<${name}>`, `</${name}>`]),
    ...brackets.flatMap(name => [`\\[${name}\\]`, `\\[/${name}\\]`]),
  ];
  const controls = new Set(controlTokens);
  const textual = [...new Set(markers)].filter(marker => !controls.has(marker.replaceAll('\\', '')));
  return new RegExp(textual.join('|') || '(?!)', 'g');
}

function codePointEscape(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
