/** Literals of Python as data: what `ast.literal_eval` takes of text, numbers, lists, tuples and dictionaries. Nothing is run. */
import { numberAsWritten, pythonFloat, type WrittenNumber } from './json.ts';

/** Deeper than what people write. */
const MOST_NESTED = 200;

const constants: Record<string, boolean | null> = { True: true, False: false, None: null };
const escapes: Record<string, string> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/**
 * The value of a literal; tuples are lists, as in JSON.
 * @throws SyntaxError where it is something else.
 */
export function parsePythonLiteral(source: string): unknown {
  const reader = new LiteralReader(source);
  const value = reader.value(0);
  reader.end();
  return value;
}

class LiteralReader {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  value(depth: number): unknown {
    if (depth > MOST_NESTED) throw new SyntaxError(`values are nested more than ${MOST_NESTED} deep`);
    if (this.#take(/\[/y)) return this.#items(/\]/y, depth);
    if (this.#take(/\(/y)) return this.#tuple(depth);
    if (this.#take(/\{/y)) return this.#dictionary(depth);
    const word = this.#take(/(True|False|None)\b/y);
    if (word) return constants[word];
    const number = this.#take(/[+-]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?(?!\w)/y);
    return number === undefined ? this.#text() : numberOf(number.replaceAll('_', ''));
  }

  end(): void {
    this.#take(/$/y) ?? this.#refuse();
  }

  #items(closing: RegExp, depth: number): unknown[] {
    const items: unknown[] = [];
    while (this.#take(closing) === undefined) {
      items.push(this.value(depth + 1));
      if (this.#take(/,/y) !== undefined) continue;
      this.#take(closing) ?? this.#refuse();
      break;
    }
    return items;
  }

  /** A value in parentheses is itself; a comma makes a tuple. */
  #tuple(depth: number): unknown {
    const start = this.#at;
    const items = this.#items(/\)/y, depth);
    const isBare = items.length === 1 && !/,\s*\)$/.test(this.#source.slice(start, this.#at));
    return isBare ? items[0] : items;
  }

  #dictionary(depth: number): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    while (this.#take(/\}/y) === undefined) {
      const key = this.value(depth + 1);
      this.#take(/:/y) ?? this.#refuse();
      entries.push([String(key), this.value(depth + 1)]);
      if (this.#take(/,/y) !== undefined) continue;
      this.#take(/\}/y) ?? this.#refuse();
      break;
    }
    return Object.fromEntries(entries);
  }

  /** One string, or several beside each other, which are one. */
  #text(): string {
    let text: string | undefined;
    for (;;) {
      const opening = this.#take(/[rRuU]?(?:'''|"""|'|")/y);
      if (opening === undefined) return text ?? this.#refuse();
      const isRaw = /^r/i.test(opening);
      text = (text ?? '') + this.#string(opening.replace(/^[rRuU]/, ''), isRaw);
    }
  }

  #string(quote: string, isRaw: boolean): string {
    const pieces: string[] = [];
    const plain = quote.length === 3 ? /[^'"\\]+/y : /[^'"\\\n]+/y;
    for (;;) {
      const piece = this.#match(plain);
      if (piece !== undefined) pieces.push(piece);
      else if (this.#source.startsWith(quote, this.#at)) {
        this.#at += quote.length;
        return pieces.join('');
      } else if (this.#match(/\\/y) !== undefined) pieces.push(isRaw ? `\\${this.#match(/[\s\S]/y)}` : this.#escape());
      else pieces.push(this.#match(/['"]/y) ?? this.#refuse());
    }
  }

  #escape(): string {
    const code = this.#match(/x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}/y);
    if (code) return this.#character(Number.parseInt(code.slice(1), 16));
    const octal = this.#match(/[0-7]{1,3}/y);
    if (octal) return this.#character(Number.parseInt(octal, 8));
    const letter = this.#match(/[\s\S]/uy) ?? this.#refuse();
    return escapes[letter] ?? `\\${letter}`;
  }

  #character(code: number): string {
    return code > 0x10ffff ? this.#refuse() : String.fromCodePoint(code);
  }

  /** What comes next behind white space, where it is what is wanted. */
  #take(wanted: RegExp): string | undefined {
    const start = this.#at;
    this.#match(/\s+/y);
    const taken = this.#match(wanted);
    if (taken === undefined) this.#at = start;
    return taken;
  }

  #match(wanted: RegExp): string | undefined {
    wanted.lastIndex = this.#at;
    const [text] = wanted.exec(this.#source) ?? [];
    this.#at += text?.length ?? 0;
    return text;
  }

  #refuse(): never {
    const found = this.#source.slice(this.#at).trim().slice(0, 20);
    throw new SyntaxError(
      `no literal of Python at character ${this.#at + 1}: ${found ? `'${found}'` : 'it ends there'}`,
    );
  }
}

function numberOf(literal: string): number | WrittenNumber {
  const isInteger = /^[+-]?\d+$/.test(literal);
  return isInteger ? numberAsWritten(String(BigInt(literal.replace('+', '')))) : pythonFloat(Number(literal));
}
