import {
  accents,
  functions,
  greekLetters,
  isMathWord,
  isWord,
  layout,
  numerals,
  spelled,
  textFonts,
} from './vocabulary.ts';

/** A piece of an answer, in the one spelling for all that are in use. */
export interface Token {
  /** A word is text that is no mathematics: a unit, a name. */
  kind: 'number' | 'letter' | 'word' | 'sign';
  text: string;
  /** Whether space stands before it. */
  isApart: boolean;
  /** Whether it is set as text, in which a letter may be a unit. */
  isText: boolean;
}

const superscripts = /[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+/g;
const subscripts = /[₀₁₂₃₄₅₆₇₈₉]+/g;
const vulgarFractions = /[¼½¾⅐-⅞]/g;
/** What stands between the thousands of a number, beside the comma, which may also part a list. */
const thousands = /(?<![\d.,])(\d{1,3})((?:(?:,\\!|\{,\}|\\[,:;! ]|~| )\d{3})+)(?![\d/]|\\?[,!:; ]*\d)/g;

const spacing = /[\s~$]+|\\[\s,;:!>()[\]]|\\q?quad(?![a-zA-Z])/y;
const environment = /\\(begin|end)\s*\{(\w+)\*?\}(?:\s*\{[lcr|\s]*\})?/y;
const command = /\\([a-zA-Z]+)\*?/y;
const escaped = /\\(.)/suy;
const repeating = /(\d*\.\d*)(?:\\(?:overline|bar|dot)\s*(?:\{\s*(\d+)\s*\}|(\d))|\((\d+)\))/y;
/** `2e-1` is 2·e − 1: an exponent with a sign has two digits, or a number before it that is not one digit. */
const scientific = /(?:\d+\.\d+[eE][+-]?|1[eE][+-]?|\d+[eE](?=\d|[+-]\d\d))\d+(?![\d.])/y;
const decimal = /\d+(?:\.\d+)?|\.\d+/y;
const letters = /[a-zA-Z]+/y;
const sign = /''|!!|\*\*|<=|>=|!=|./suy;

/** The pieces of an answer, in LaTeX or plain, without what is typography. */
export function tokenize(answer: string): Token[] {
  return new Tokenizer(inLatex(answer), false).read();
}

/** Characters that have a meaning of their own are written in LaTeX. */
function inLatex(text: string): string {
  return text
    .replace(superscripts, power => `^{${power.normalize('NFKC').replace('−', '-')}}`)
    .replace(subscripts, index => `_{${index.normalize('NFKC')}}`)
    .replace(vulgarFractions, fraction => fraction.normalize('NFKC').replace(/(\d+)⁄(\d+)/, '\\frac{$1}{$2}'))
    .replace(/(?<!\\)\{\s*\}/g, '')
    .replace(/\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))/g, '°')
    .replace(/\^\s*(?:\{\s*\\prime\s*\}|\\prime(?![a-zA-Z]))/g, "'")
    .replace(/\b([ap])\.\s?m\b\.?/gi, '$1m')
    .replace(thousands, (_, first: string, rest: string) => first + rest.replace(/\D/g, ''));
}

class Tokenizer {
  readonly #tokens: Token[] = [];
  readonly #text: string;
  readonly #isText: boolean;
  readonly #rules: readonly [RegExp, (found: RegExpExecArray) => void][] = [
    [spacing, () => this.#space()],
    [environment, ([, edge, name]) => this.#push('sign', `${edge} ${name}`)],
    [command, ([, name]) => this.#readCommand(name)],
    [escaped, ([, sign]) => this.#push('sign', '{}'.includes(sign) ? `set${sign}` : spelled(sign))],
    [repeating, ([, digits, ...period]) => this.#push('number', `${digits}(${period.find(Boolean)})`)],
    [scientific, ([number]) => this.#push('number', number)],
    [decimal, ([number]) => this.#push('number', number)],
    [letters, ([run]) => this.#readLetters(run)],
    [sign, ([sign]) => this.#push('sign', spelled(sign))],
  ];
  #at = 0;
  #isApart = false;

  constructor(text: string, isText: boolean) {
    this.#text = text;
    this.#isText = isText;
  }

  read(): Token[] {
    while (this.#at < this.#text.length) this.#readPiece();
    return this.#tokens;
  }

  /** The first rule that fits takes the next piece; the last fits any character. */
  #readPiece(): void {
    for (const [pattern, read] of this.#rules) {
      const found = this.#take(pattern);
      if (found) {
        read(found);
        return;
      }
    }
  }

  #readCommand(name: string): void {
    if (textFonts.has(name)) this.#readText(this.#group());
    else if (accents.has(name)) this.#push('letter', `${name}{${this.#group().replaceAll(/\s/g, '')}}`);
    else if (greekLetters.has(name)) this.#push('letter', name);
    else if (!layout.has(name)) this.#push('sign', spelled(name));
    else if (/^(?:left|right)$/.test(name)) this.#take(/\s*\./y);
  }

  #readText(content: string): void {
    const inner = new Tokenizer(content, true).read();
    if (inner.length > 0) inner[0].isApart ||= this.#isApart;
    this.#tokens.push(...inner);
    this.#isApart = /\s$/.test(content);
  }

  #readLetters(run: string): void {
    const last = this.#tokens.at(-1);
    const followsNumber = last !== undefined && (last.kind === 'number' || last.text === '}' || last.kind === 'word');
    const numeral = numerals.get(run.toLowerCase());
    const lowercase = run.toLowerCase();
    if (numeral) {
      this.#push('sign', '*');
      this.#push('number', numeral);
    } else if (isMathWord(run) || lowercase === 'or' || lowercase === 'and') {
      this.#push(
        greekLetters.has(run) ? 'letter' : 'sign',
        run === 'sqrt' ? 'radical' : spelled(isMathWord(run) ? run : lowercase),
      );
    } else if (run.length > 1 && (this.#isText || isWord(run, followsNumber) || isWholeWord(this.#text))) {
      this.#push('word', run);
    } else this.#readProduct(run);
  }

  /** Letters side by side, before which a function may stand: `lnx`. */
  #readProduct(run: string): void {
    const name = [...functions].find(each => run.startsWith(each) && run.length === each.length + 1);
    if (name) this.#push('sign', name);
    for (const letter of run.slice(name?.length ?? 0)) this.#push('letter', letter);
  }

  /** What stands in the braces that follow, or the one character or command that does. */
  #group(): string {
    this.#take(/\s+/y);
    if (!this.#take(/\{/y)) return this.#take(/\\[a-zA-Z]+|./suy)?.[0] ?? '';
    const start = this.#at;
    for (let depth = 1; this.#at < this.#text.length; this.#at++) {
      if (this.#text[this.#at] === '\\') this.#at++;
      else if (this.#text[this.#at] === '{') depth++;
      else if (this.#text[this.#at] === '}' && --depth === 0) return this.#text.slice(start, this.#at++);
    }
    return this.#text.slice(start);
  }

  #take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text) ?? undefined;
    if (found) this.#at = pattern.lastIndex;
    return found;
  }

  #space(): void {
    this.#isApart = true;
  }

  #push(kind: Token['kind'], text: string): void {
    this.#tokens.push({ kind, text, isApart: this.#isApart, isText: this.#isText });
    this.#isApart = false;
  }
}

/** Whether the text is one word, though it could be a product of letters. */
function isWholeWord(text: string): boolean {
  return /^\s*(?:no|(?=.*[aeiou])[a-z]{3,})\s*$/i.test(text);
}
