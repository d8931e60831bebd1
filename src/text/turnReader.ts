import { TextStream } from './textStream.ts';
import { ToolCallStream, type TurnDelta } from './toolCallStream.ts';
import type { Vocabulary } from './vocabulary.ts';

export interface TurnReaderOptions {
  vocabulary: Vocabulary;
  /** Ids that end the turn and are no part of it. */
  stopTokens: readonly number[];
  stopStrings: readonly string[];
  /** Whether `<tool_call>` blocks are calls, or text like any other. */
  calls: boolean;
}

/** A sampled turn as a client is told it, token by token: text, and calls with their arguments. */
export class TurnReader {
  readonly #options: TurnReaderOptions;
  readonly #open: number | undefined;
  readonly #close: number | undefined;
  #text: TextStream;
  /** White space that only counts if text follows it: before a call and behind one it is none of the text. */
  #space = '';
  #call: { stream: ToolCallStream; text: TextStream } | undefined;
  #calls = 0;
  #behindCall = false;

  constructor(options: TurnReaderOptions) {
    this.#options = options;
    this.#text = new TextStream(options.stopStrings);
    if (!options.calls) return;
    this.#open = options.vocabulary.controlId('<tool_call>');
    this.#close = options.vocabulary.controlId('</tool_call>');
  }

  /** Whether a stop string has ended the turn. */
  get stopped(): boolean {
    return this.#text.stopped;
  }

  /** Calls told so far. */
  get calls(): number {
    return this.#calls;
  }

  push(token: number): TurnDelta[] {
    if (this.stopped || this.#options.stopTokens.includes(token)) return [];
    if (token === this.#open && !this.#call) {
      const before = this.#pass(this.#text.end());
      if (this.stopped) return before;
      this.#text = new TextStream(this.#options.stopStrings);
      this.#space = '';
      this.#call = { stream: new ToolCallStream(this.#calls), text: new TextStream() };
      return before;
    }
    if (this.#call && token === this.#close) return this.#endCall('</tool_call>');
    const { vocabulary } = this.#options;
    const bytes = vocabulary.bytes(token) ?? Buffer.from(vocabulary.control(token) ?? '');
    if (this.#call) return this.#counted(this.#call.stream.push(this.#call.text.push(bytes)));
    return this.#pass(this.#text.push(bytes));
  }

  /** To be called when no more tokens come. */
  end(): TurnDelta[] {
    const inCall = this.#call ? this.#endCall('') : [];
    const rest = this.#pass(this.#text.end());
    const space = this.#calls === 0 && this.#space ? [this.#tell(this.#space)] : [];
    return [...inCall, ...rest, ...space];
  }

  #endCall(marker: string): TurnDelta[] {
    const { stream, text } = this.#call!;
    const last = this.#counted(stream.push(text.end()));
    this.#call = undefined;
    const rest = stream.end();
    if (rest) {
      this.#behindCall = true;
      return [...last, ...this.#counted(rest)];
    }
    return this.#pass(`<tool_call>${stream.text}${marker}`);
  }

  #counted(deltas: TurnDelta[]): TurnDelta[] {
    this.#calls += deltas.filter(({ kind }) => kind === 'call').length;
    return deltas;
  }

  #pass(text: string): TurnDelta[] {
    if (!this.#options.calls) return text ? [this.#tell(text)] : [];
    const all = this.#behindCall ? (this.#space + text).trimStart() : this.#space + text;
    const solid = all.trimEnd();
    this.#space = all.slice(solid.length);
    if (!solid) return [];
    this.#behindCall = false;
    return [this.#tell(solid)];
  }

  #tell(text: string): TurnDelta {
    return { kind: 'text', text };
  }
}
