import type { TailFormat } from './callFormat.ts';
import { TailCalls } from './tailCalls.ts';
import type { ThoughtStart } from './thought.ts';
import { ThoughtReader } from './thoughtReader.ts';
import { TokenStream } from './tokenStream.ts';
import { CLOSE, OPEN, type TurnContent, type TurnDelta, TurnText } from './turnText.ts';
import type { Vocabulary } from './vocabulary.ts';

export interface TurnReaderOptions {
  vocabulary: Vocabulary;
  /** Ids that end the turn and are no part of it. */
  stopTokens: readonly number[];
  stopStrings?: readonly string[];
  /** Whether calls are calls, or text like any other. Default: true. */
  calls?: boolean;
  /** How calls are written, where not in the Hermes format. */
  format?: TailFormat;
  /** Whether the turn is, or may be, begun by a thought; without it, all is said. */
  thought?: ThoughtStart;
}

/** Markers that are control tokens, as two high surrogates, which no decoded text has: whatever a model spells is none. */
const SEALED = new Map([
  [OPEN, '\uD800\uD800'],
  [CLOSE, '\uD800\uD801'],
]);

/** A sampled turn, token by token: the thought before it, text, and calls when they are complete. */
export class TurnReader {
  readonly #stopTokens: readonly number[];
  readonly #tokens: TokenStream;
  readonly #text: TurnText | TailCalls;
  readonly #thought: ThoughtReader | undefined;
  #reasoning = '';
  /** Not within a thought or the line breaks behind it, which are no part of what is said. */
  #speaks = true;

  constructor({ vocabulary, stopTokens, stopStrings, calls = true, format, thought }: TurnReaderOptions) {
    const marker = (name: string) => (vocabulary.controlId(name) === undefined ? name : SEALED.get(name)!);
    const sealed = (token: number) => {
      const control = vocabulary.control(token);
      return control && (SEALED.get(control) ?? control);
    };
    const markers = calls ? { open: marker(OPEN), close: marker(CLOSE) } : undefined;
    this.#stopTokens = stopTokens;
    this.#tokens = new TokenStream(vocabulary, calls ? sealed : undefined);
    this.#text = calls && format ? new TailCalls(format, stopStrings) : new TurnText({ markers, stopStrings });
    this.#thought = thought && new ThoughtReader(vocabulary, thought);
  }

  /** Whether a stop string has ended the turn. */
  get stopped(): boolean {
    return this.#text.stopped;
  }

  /** What has been told so far. */
  get turn(): TurnContent {
    const reasoning = this.#reasoning.trim();
    return { ...(reasoning && { reasoning }), ...this.#text.content };
  }

  push(token: number): TurnDelta[] {
    const { thought, said } = this.#read(token);
    if (thought === undefined) return said === undefined ? [] : this.#text.push(said);
    return [{ kind: 'thought', text: thought }];
  }

  /** All tokens of a turn at once, of whose deltas nobody is told: its text is looked through once. */
  pushAll(tokens: readonly number[]): void {
    this.#text.push(tokens.map(token => this.#read(token).said ?? '').join(''));
  }

  /** To be called when no more tokens come. */
  end(): TurnDelta[] {
    return [...this.#text.push(this.#said(this.#tokens.end())), ...this.#text.end()];
  }

  #read(token: number): { thought?: string; said?: string } {
    if (this.#stopTokens.includes(token)) return {};
    const thought = this.#thought?.push(token);
    if (thought === undefined) return { said: this.#said(this.#tokens.push(token)) };
    this.#reasoning += thought;
    this.#speaks = false;
    return { thought };
  }

  #said(text: string): string {
    const said = this.#speaks ? text : text.replace(/^\n+/, '');
    this.#speaks ||= said !== '';
    return said;
  }
}
