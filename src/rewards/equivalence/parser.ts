import { type Answer, apply, difference, type Side } from './notation.ts';
import type { Token } from './tokens.ts';
import { functions, letterUnits } from './vocabulary.ts';

class Unreadable extends Error {}

/** Brackets within brackets, and steps until the end: an answer needs few. */
const MAX_DEPTH = 60;
const MAX_STEPS = 20_000;
const relations = new Set(['=', '<', '>', '<=', '>=', '!=', 'in']);
const combinations = new Set(['union', 'intersection', 'difference']);
const separators = new Set([',', ';', 'and', 'or']);
const closings: Record<string, string[]> = { '(': [')', ']'], '[': [']', ')'], 'set{': ['set}'] };
/** Signs with which a factor may begin that has no sign of multiplication before it. */
const openings = new Set(['(', '{', 'frac', 'binom', 'sqrt', 'radical', 'pi', 'lfloor', 'lceil', ...functions]);
/** What may stand before an equals sign without being more than a name. */
const names =
  /^(?:\w+(?: '+)* \( \w+(?: , \w+)* \)|[A-Z](?: [A-Z])+|(?:m )?(?:angle|triangle) .*|\| [A-Z] [A-Z] \||\[ [A-Z ]+ \])$/;
const inverses = new Set(['sin', 'cos', 'tan', 'cot', 'sec', 'csc']);

/** Reads the pieces of one answer, by recursive descent: each method reads what it is named for. */
export class Parser {
  readonly #tokens: Token[];
  #at = 0;
  #depth = 0;
  #steps = 0;
  /** Whether `|` closes, or parts a set's items from their condition. */
  #endsAtBar = false;
  #isInSet = false;
  /** How ± is read, and whether one has been. */
  #plusMinus: '+' | '-' = '+';
  #sawPlusMinus = false;
  #currency = '';

  constructor(tokens: Token[]) {
    this.#tokens = [...tokens];
  }

  /** The whole answer; undefined where it is none. */
  answer(): Answer | undefined {
    try {
      const answer = this.#wholeWords() ?? this.#based() ?? this.#list(() => this.#alternatives());
      return this.#at === this.#tokens.length ? answer : undefined;
    } catch (error) {
      if (error instanceof Unreadable) return undefined;
      throw error;
    }
  }

  /** `blue whale`, `No`: at least one word, and nothing but letters beside it. */
  #wholeWords(): Answer | undefined {
    const isWords = this.#tokens.every(({ kind }) => kind === 'word' || kind === 'letter');
    if (!isWords || this.#tokens.every(({ kind }) => kind === 'letter')) return undefined;
    return this.#words();
  }

  #words(): Answer {
    const start = this.#at;
    while (this.#peek()?.kind === 'word' || this.#peek()?.kind === 'letter') this.#at++;
    return { kind: 'words', text: this.#textSince(start) };
  }

  /** `\angle ABC`. */
  #figure(kind: string): Answer {
    const start = this.#at;
    this.#words();
    return { kind: 'words', text: `${kind} ${this.#textSince(start)}` };
  }

  /** `1423_5`, `1A3_{16}`, `(101)_2`. */
  #based(): Answer | undefined {
    const text = this.#tokens.map(token => token.text).join('');
    const [, digits, inBrackets, base] = /^(?:(\d[\dA-Z]*)|\((\d[\dA-Z]*)\))_\{?(?:base)?(\d+)\}?$/.exec(text) ?? [];
    if (base === undefined) return undefined;
    this.#at = this.#tokens.length;
    return { kind: 'based', digits: digits ?? inBrackets, base };
  }

  /** Items up to a closing bracket; one alone stands for itself. */
  #list(item: () => Answer[]): Answer {
    const { items, joint } = this.#items(item);
    return items.length === 1 ? items[0] : { kind: 'set', items, joint };
  }

  #items(item: () => Answer[]): { items: Answer[]; joint: string } {
    const items = item();
    let joint = '';
    while (separators.has(this.#sign() ?? '')) {
      while (separators.has(this.#sign() ?? '')) joint = this.#next().text;
      if (!this.#peek() || this.#isAtClosing()) break;
      items.push(...item());
    }
    return { items, joint };
  }

  #isAtClosing(): boolean {
    return [')', ']', 'set}', '}'].includes(this.#sign() ?? '');
  }

  /** One answer, or both where it holds ±. */
  #alternatives(): Answer[] {
    const [start, sign, saw] = [this.#at, this.#plusMinus, this.#sawPlusMinus];
    this.#plusMinus = '+';
    this.#sawPlusMinus = false;
    const items = [this.#relation()];
    if (this.#sawPlusMinus) {
      this.#at = start;
      this.#plusMinus = '-';
      items.push(this.#relation());
    }
    this.#plusMinus = sign;
    this.#sawPlusMinus = saw;
    return items;
  }

  #relation(): Answer {
    this.#accept('=');
    const sides = [this.#side()];
    const signs: string[] = [];
    while (relations.has(this.#sign() ?? '')) {
      signs.push(this.#next().text);
      sides.push(this.#side());
    }
    return signs.length === 0 ? sides[0].value : { kind: 'relation', sides, signs };
  }

  #side(): Side {
    const start = this.#at;
    const value = this.#combination();
    const isName =
      value.kind === 'symbol' ||
      value.kind === 'words' ||
      (value.kind === 'sequence' && value.items.every(item => item.kind === 'symbol')) ||
      names.test(this.#textSince(start));
    return { value, isName };
  }

  #combination(): Answer {
    let left = this.#ratio();
    while (combinations.has(this.#sign() ?? '')) {
      left = { kind: 'combination', sign: this.#next().text, left, right: this.#ratio() };
    }
    return left;
  }

  #ratio(): Answer {
    const items = [this.#quantity()];
    while (!this.#isInSet && this.#accept(':')) items.push(this.#quantity());
    return items.length === 1 ? items[0] : { kind: 'sequence', brackets: ':', items };
  }

  #quantity(): Answer {
    this.#currency = '';
    const value = this.#sum();
    const unit = this.#unit() || this.#currency;
    return unit ? { kind: 'quantity', value, unit } : value;
  }

  /** `cm`, `m/s^2`, `square units`: up to the next sign that is no part of it. */
  #unit(): string {
    const start = this.#at;
    if (this.#peek()?.kind !== 'word' && !this.#isAtLetterUnit()) return '';
    for (let token = this.#peek(); token; token = this.#peek()) {
      if (this.#accept('^')) this.#exponent();
      else if (token.kind === 'word' || token.kind === 'letter' || ['/', '*', '.'].includes(token.text)) this.#at++;
      else break;
    }
    return this.#textSince(start);
  }

  #isAtLetterUnit(): boolean {
    const token = this.#peek();
    const isTemperature = this.#tokens[this.#at - 1]?.text === '°' && ['C', 'F'].includes(token?.text ?? '');
    return token?.kind === 'letter' && (isTemperature || (token.isText && letterUnits.has(token.text)));
  }

  #sum(): Answer {
    let left = this.#product();
    for (;;) {
      if (this.#accept('+')) left = apply('add', left, this.#product());
      else if (this.#accept('-')) left = difference(left, this.#product());
      else if (this.#isPlusMinus()) left = apply('add', left, this.#plusOrMinus());
      else return left;
    }
  }

  #isPlusMinus(): boolean {
    return this.#sign() === 'pm' || this.#sign() === 'mp';
  }

  #plusOrMinus(): Answer {
    this.#sawPlusMinus = true;
    const isPlus = (this.#next().text === 'pm') === (this.#plusMinus === '+');
    return isPlus ? this.#product() : apply('negate', this.#product());
  }

  #product(): Answer {
    let left = this.#signed();
    for (;;) {
      if (this.#accept('*')) left = apply('multiply', left, this.#signed());
      else if (this.#accept('/')) left = apply('divide', left, this.#signed());
      else if (this.#startsFactor(left)) left = apply('multiply', left, this.#power());
      else return left;
    }
  }

  #startsFactor(left: Answer): boolean {
    const token = this.#peek();
    const last = this.#tokens[this.#at - 1];
    if (!token) return false;
    if (token.kind === 'number' && last.kind === 'number') throw new Unreadable();
    if (token.kind === 'letter') return !(isNumeric(left) && this.#isAtLetterUnit());
    return token.kind === 'number' || openings.has(token.text) || (token.text === '|' && !this.#endsAtBar);
  }

  #signed(): Answer {
    if (this.#accept('-')) return this.#nested(() => apply('negate', this.#signed()));
    if (this.#accept('+')) return this.#nested(() => this.#signed());
    return this.#isPlusMinus() ? this.#plusOrMinus() : this.#power();
  }

  /** A factor with what stands behind and above it. */
  #power(): Answer {
    let base = this.#factor();
    for (;;) {
      if (this.#accept('^')) base = apply('power', base, this.#exponent());
      else if (this.#accept('!!')) base = apply('doubleFactorial', base);
      else if (this.#accept('!')) base = apply('factorial', base);
      else if (this.#accept('%')) base = apply('percent', base);
      else if (this.#accept('°')) base = this.#degrees(base);
      else return base;
    }
  }

  #exponent(): Answer {
    return this.#nested(() => {
      if (this.#accept('-')) return apply('negate', this.#exponent());
      const token = this.#peek();
      const base = token?.kind === 'number' ? number(this.#next().text) : this.#argument();
      return this.#accept('^') ? apply('power', base, this.#exponent()) : base;
    });
  }

  /** `30°15'20''`. */
  #degrees(whole: Answer): Answer {
    let angle = whole;
    for (const [mark, part] of [
      ["'", '60'],
      ["''", '3600'],
    ]) {
      const minutes = this.#peek();
      if (minutes?.kind !== 'number' || this.#tokens[this.#at + 1]?.text !== mark) continue;
      this.#at += 2;
      angle = apply('add', angle, apply('divide', number(minutes.text), number(part)));
    }
    return apply('degrees', angle);
  }

  #factor(): Answer {
    const token = this.#next();
    if (token.kind === 'number') return this.#mixedNumber(token.text);
    if (token.kind === 'letter') return this.#symbol(token.text);
    if (token.kind === 'word') {
      this.#at--;
      return this.#words();
    }
    return this.#nested(() => this.#afterSign(token.text));
  }

  #afterSign(sign: string): Answer {
    if (functions.has(sign)) return this.#function(sign);
    if (sign.startsWith('begin ')) return this.#matrix(sign.slice('begin '.length));
    switch (sign) {
      case '{':
        return this.#group();
      case '(':
      case '[':
      case 'set{':
        return this.#brackets(sign);
      case '|':
        return this.#absolute();
      case 'lfloor':
        return apply('floor', this.#upTo('rfloor'));
      case 'lceil':
        return apply('ceil', this.#upTo('rceil'));
      case 'frac':
        return apply('divide', this.#argument(), this.#argument());
      case 'binom':
        return apply('binomial', this.#argument(), this.#argument());
      case 'sqrt':
        return this.#root();
      case 'radical':
        return apply('root', this.#factor(), number('2'));
      case 'angle':
      case 'triangle':
        return this.#figure(sign);
      case 'pi':
      case 'infty':
        return { kind: 'symbol', name: sign };
      case 'emptyset':
        return { kind: 'set', items: [], joint: ',' };
      case '$':
      case '€':
      case '£':
        this.#currency = sign;
        return this.#power();
      default:
        throw new Unreadable();
    }
  }

  /** `3\frac14` and `3 1/4` are sums. */
  #mixedNumber(digits: string): Answer {
    const start = this.#at;
    const fraction = /^\d+$/.test(digits) ? this.#fraction() : undefined;
    if (fraction) return apply('add', number(digits), fraction);
    this.#at = start;
    return number(digits);
  }

  /** A proper fraction of integers; undefined where none follows. */
  #fraction(): Answer | undefined {
    const [top, line, bottom] = this.#tokens.slice(this.#at, this.#at + 3);
    const operands: Answer[] = [];
    if (this.#accept('frac')) operands.push(this.#argument(), this.#argument());
    else if (top?.kind === 'number' && top.isApart && line?.text === '/' && bottom?.kind === 'number') {
      this.#at += 3;
      operands.push(number(top.text), number(bottom.text));
    }
    const [above, below] = operands.map(operand => (operand.kind === 'number' ? operand.digits : ''));
    const isProper = /^\d+$/.test(above) && /^\d+$/.test(below) && BigInt(above) < BigInt(below);
    return isProper ? apply('divide', ...operands) : undefined;
  }

  #symbol(letter: string): Answer {
    let name = letter;
    for (;;) {
      if (this.#sign() === "'" || this.#sign() === "''") name += this.#next().text;
      else if (this.#accept('_')) name += `_${this.#index()}`;
      else return { kind: 'symbol', name };
    }
  }

  #index(): string {
    const start = this.#at;
    if (this.#peek()?.kind === 'number') this.#next();
    else this.#argument();
    return this.#textSince(start).replace(/[{}]/g, '').trim();
  }

  #function(name: string): Answer {
    let exponent: Answer | undefined;
    let base: Answer | undefined;
    for (;;) {
      if (this.#accept('^')) exponent = this.#exponent();
      else if (this.#accept('_')) base = this.#argument();
      else break;
    }
    const operands = this.#operands();
    if (exponent && isMinusOne(exponent) && inverses.has(name)) return apply(`arc${name}`, ...operands);
    const value = isLogarithm(name) ? apply('log', base ?? number('10'), ...operands) : apply(name, ...operands);
    return exponent ? apply('power', value, exponent) : value;
  }

  #operands(): Answer[] {
    if (!['(', '{', '[', 'set{'].includes(this.#sign() ?? '')) return [this.#bareOperand()];
    const operand = this.#factor();
    return operand.kind === 'sequence' || operand.kind === 'set' ? operand.items : [operand];
  }

  /** What a function takes without brackets: `2x` of `\sin 2x\cos x`. */
  #bareOperand(): Answer {
    let operand = this.#signed();
    for (;;) {
      const sign = this.#sign();
      const isOther = sign !== undefined && (functions.has(sign) || sign === '|');
      const isBracket = sign === '(' && this.#tokens[this.#at - 1].kind !== 'number';
      if (isOther || isBracket || !this.#startsFactor(operand)) return operand;
      operand = apply('multiply', operand, this.#power());
    }
  }

  /** `n` choose and over are written between their operands. */
  #group(): Answer {
    const content = this.#list(() => [this.#relation()]);
    const infix = this.#accept('over') ? 'divide' : this.#accept('choose') ? 'binomial' : undefined;
    const answer = infix
      ? apply(
          infix,
          content,
          this.#list(() => [this.#relation()]),
        )
      : content;
    this.#expect('}');
    return answer;
  }

  #brackets(opening: string): Answer {
    const outer = [this.#endsAtBar, this.#isInSet];
    this.#isInSet = opening === 'set{';
    this.#endsAtBar = this.#isInSet;
    const answer = this.#isInSet ? this.#set() : this.#sequence(opening);
    [this.#endsAtBar, this.#isInSet] = outer;
    return answer;
  }

  /** `\{1, 2\}`, and `\{x \mid x > 5\}`, which is what its condition says. */
  #set(): Answer {
    if (this.#accept('set}')) return { kind: 'set', items: [], joint: '' };
    const { items } = this.#items(() => this.#alternatives());
    if (this.#accept('mid') || this.#accept('|') || this.#accept(':')) {
      const condition = this.#list(() => [this.#relation()]);
      this.#expect('set}');
      return condition;
    }
    this.#expect('set}');
    return { kind: 'set', items, joint: '' };
  }

  /** Brackets around one thing only hold it together. */
  #sequence(opening: string): Answer {
    const { items } = this.#items(() => [this.#relation()]);
    const closing = this.#next().text;
    if (!closings[opening].includes(closing)) throw new Unreadable();
    const isOnePiece = items.length === 1 && opening + closing === '()';
    return isOnePiece ? items[0] : { kind: 'sequence', brackets: opening + closing, items };
  }

  #absolute(): Answer {
    const outer = this.#endsAtBar;
    this.#endsAtBar = true;
    const value = this.#upTo('|');
    this.#endsAtBar = outer;
    return apply('abs', value);
  }

  #root(): Answer {
    const degree = this.#accept('[') ? this.#upTo(']') : number('2');
    return apply('root', this.#argument(), degree);
  }

  #matrix(environment: string): Answer {
    const rows: Answer[] = [];
    do {
      const items = [this.#relation()];
      while (this.#accept('&')) items.push(this.#relation());
      rows.push({ kind: 'sequence', brackets: 'row', items });
    } while (this.#accept('\\') && this.#sign() !== `end ${environment}`);
    this.#expect(`end ${environment}`);
    return { kind: 'sequence', brackets: isMatrix(environment) ? 'matrix' : environment, items: rows };
  }

  /** What a command takes: a group, or the one digit, letter or command that follows. */
  #argument(): Answer {
    const token = this.#next();
    if (token.kind === 'letter') return { kind: 'symbol', name: token.text };
    if (token.kind === 'sign') return this.#nested(() => this.#afterSign(token.text));
    if (token.kind === 'word' || !/^\d+$/.test(token.text)) throw new Unreadable();
    const [digit, rest] = [token.text[0], token.text.slice(1)];
    if (rest) this.#tokens.splice(this.#at - 1, 1, { ...token, text: digit }, { ...token, text: rest, isApart: false });
    return number(digit);
  }

  #upTo(closing: string): Answer {
    const value = this.#sum();
    this.#expect(closing);
    return value;
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new Unreadable();
    const result = read();
    this.#depth--;
    return result;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at];
  }

  #sign(): string | undefined {
    const token = this.#peek();
    return token?.kind === 'sign' ? token.text : undefined;
  }

  #next(): Token {
    const token = this.#peek();
    if (!token || ++this.#steps > MAX_STEPS) throw new Unreadable();
    this.#at++;
    return token;
  }

  #accept(sign: string): boolean {
    if (this.#sign() !== sign) return false;
    this.#next();
    return true;
  }

  #expect(sign: string): void {
    if (!this.#accept(sign)) throw new Unreadable();
  }

  #textSince(start: number): string {
    return this.#tokens
      .slice(start, this.#at)
      .map(token => token.text)
      .join(' ');
  }
}

function number(digits: string): Answer {
  return { kind: 'number', digits };
}

function isNumeric(answer: Answer): boolean {
  if (answer.kind === 'apply') return answer.operands.every(isNumeric);
  return answer.kind === 'number' || (answer.kind === 'symbol' && ['pi', 'e', 'i'].includes(answer.name));
}

function isMinusOne(answer: Answer): boolean {
  if (answer.kind !== 'apply' || answer.name !== 'negate') return false;
  const [operand] = answer.operands;
  return operand.kind === 'number' && operand.digits === '1';
}

function isLogarithm(name: string): boolean {
  return name === 'log' || name === 'lg';
}

function isMatrix(environment: string): boolean {
  return /^(?:[pbB]?matrix|smallmatrix|array)$/.test(environment);
}
