/** JSON in which numbers stay as they were written: 1.0, 1e-07, 12345678901234567890. */
import { randomUUID } from 'node:crypto';

/** A number that JavaScript would write in another way, or cannot hold; for arithmetic it is the nearest double. */
export class WrittenNumber extends Number {
  readonly #text: string;

  constructor(text: string) {
    super(text);
    this.#text = text;
  }

  override toString(): string {
    return this.#text;
  }
}

/** The number that a literal of JSON stands for, in the simplest form that is written in the same way. */
export function numberAsWritten(literal: string): number | WrittenNumber {
  return String(Number(literal)) === literal ? Number(literal) : new WrittenNumber(literal);
}

/** A double as Python writes it: always with a point or an exponent. */
export function pythonFloat(value: number): number | WrittenNumber {
  if (!Number.isFinite(value)) return value;
  const [digits, exponent] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power < -4 || power >= 16) {
    return numberAsWritten(`${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`);
  }
  const text = Object.is(value, -0) ? '-0' : String(value);
  return numberAsWritten(text.includes('.') ? text : `${text}.0`);
}

/** Deeper than what people write; whatever walks through a value by calling itself has room for it. */
const mostNested = 1000;

/** What marks a number where JSON.parse and JSON.stringify have no place for it as it was written: data cannot know it. */
const MARK = randomUUID();

const numberLiteral = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * As JSON.parse, but that numbers are `numberAsWritten`.
 * @throws SyntaxError, also where values are nested more than 1,000 deep.
 */
export function parseJson(json: string): unknown {
  const value: unknown = JSON.parse(json);
  const marked = markNumbers(json);
  if (marked === json) return value;
  return JSON.parse(marked, (_, item) => (isMarked(item) ? new WrittenNumber(item[MARK]) : item));
}

/** As JSON.parse; undefined where a text is no JSON. */
export function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The numbers that JSON.parse would change, as objects that hold them. */
function markNumbers(json: string): string {
  let depth = 0;
  const mark = (token: string) => {
    if (token === '[' || token === '{') depth++;
    if (token === ']' || token === '}') depth--;
    if (depth > mostNested) throw new SyntaxError(`values are nested more than ${mostNested} deep`);
    return numberLiteral.test(token) && String(Number(token)) !== token ? `{"${MARK}":"${token}"}` : token;
  };
  return mapParts(json, { outside: text => text.replace(/[[\]{}]|-?\d[\d.eE+-]*/g, mark) });
}

/** JSON whose strings may hold raw line breaks and the like, with the escapes that there should be instead. */
export function escapeControls(json: string): string {
  const escaped = (control: string) => JSON.stringify(control).slice(1, -1);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return mapParts(json, { inside: text => text.replace(/[\u0000-\u001f]/g, escaped) });
}

/** JSON with its strings, quotes included, and what is outside of them mapped each; it need not be valid. */
function mapParts(
  json: string,
  { inside = same, outside = same }: { inside?: (text: string) => string; outside?: (text: string) => string },
): string {
  let mapped = '';
  for (let at = 0; at < json.length; ) {
    const quote = json.indexOf('"', at);
    const begin = quote < 0 ? json.length : quote;
    const end = endOfString(json, begin);
    mapped += outside(json.slice(at, begin)) + inside(json.slice(begin, end));
    at = end;
  }
  return mapped;
}

const same = (text: string) => text;

/** The end of the string that begins at `quote`, or of the text. */
function endOfString(json: string, quote: number): number {
  let end = json.indexOf('"', quote + 1);
  while (end > 0 && isEscaped(json, end)) end = json.indexOf('"', end + 1);
  return end < 0 ? json.length : end + 1;
}

/** Whether an odd number of backslashes stands before a character. */
function isEscaped(json: string, at: number): boolean {
  let first = at;
  while (json[first - 1] === '\\') first--;
  return (at - first) % 2 === 1;
}

function isMarked(value: unknown): value is { [MARK]: string } {
  return isObject(value) && Object.hasOwn(value, MARK);
}

/** As JSON.stringify, but that numbers are written as they were, and of any size. */
export function stringifyJson(value: unknown, indent?: number): string {
  const marked = JSON.stringify(
    value,
    (_, item) => (item instanceof WrittenNumber || typeof item === 'bigint' ? `${MARK}${item}` : item),
    indent,
  );
  return marked.replace(new RegExp(`"${MARK}([^"]*)"`, 'g'), '$1');
}

/** A value as Python's json.dumps(ensure_ascii=False) writes it: a space behind each comma and colon. */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (!isObject(value)) return value === undefined ? 'null' : stringifyJson(value);
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}: ${pythonJson(item)}`).join(', ')}}`;
}

/** A value with the numbers of JavaScript, for programs that calculate with them. */
export function plainNumbers<T>(value: T): T {
  const plain = (item: unknown): unknown => {
    if (item instanceof WrittenNumber) return Number(item);
    if (Array.isArray(item)) return item.map(plain);
    return isObject(item) ? mapObject(item, (key, inner) => [key, plain(inner)]) : item;
  };
  return plain(value) as T;
}

/** An object of JSON: neither an array nor null nor a number as it was written. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof WrittenNumber);
}

/** The object of other entries, one for each of an object. */
export function mapObject(
  object: Record<string, unknown>,
  map: (key: string, value: unknown) => [key: string, value: unknown],
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => map(key, value)));
}
