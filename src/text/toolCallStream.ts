import { parseToolCall } from './toolCall.ts';

/** A piece of a turn as a client is told it. `call` counts the turn's calls from 0. */
export type TurnDelta =
  | { kind: 'text'; text: string }
  | { kind: 'call'; call: number; name: string }
  | { kind: 'arguments'; call: number; text: string };

const header = /^\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\{)/;

/** In characters; a call that has not come to its arguments by then is read when it is complete. */
const longestHeader = 500;

/**
 * One tool call as its text comes in, `{"name": …, "arguments": {…}}`: told as soon as its name is known, then its arguments
 * as they are written. A call in another order, or with its arguments as a string, is told when it is complete.
 */
export class ToolCallStream {
  readonly #call: number;
  #text = '';
  /** Where the arguments are told up to; undefined until they begin. */
  #told: number | undefined;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #complete = false;

  constructor(call: number) {
    this.#call = call;
  }

  push(text: string): TurnDelta[] {
    this.#text += text;
    const deltas: TurnDelta[] = [];
    if (this.#told === undefined) {
      if (this.#text.length > longestHeader) return [];
      const begun = header.exec(this.#text);
      if (!begun) return [];
      deltas.push({ kind: 'call', call: this.#call, name: JSON.parse(begun[1]) });
      this.#told = begun[0].length;
    }
    return [...deltas, ...this.#arguments()];
  }

  /** @returns what was not told yet, or undefined where the text is no call at all: it is in `text` */
  end(): TurnDelta[] | undefined {
    if (this.#told !== undefined) return [];
    const call = parseToolCall(this.#text.trim());
    if (typeof call === 'string') return undefined;
    return [
      { kind: 'call', call: this.#call, name: call.name },
      { kind: 'arguments', call: this.#call, text: JSON.stringify(call.arguments) },
    ];
  }

  get text(): string {
    return this.#text;
  }

  #arguments(): TurnDelta[] {
    const from = this.#told!;
    let at = from;
    while (at < this.#text.length && !this.#complete) this.#follow(this.#text[at++]);
    this.#told = at;
    return at > from ? [{ kind: 'arguments', call: this.#call, text: this.#text.slice(from, at) }] : [];
  }

  #follow(character: string): void {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (character === '\\') this.#escaped = true;
      else if (character === '"') this.#inString = false;
    } else if (character === '"') this.#inString = true;
    else if (character === '{' || character === '[') this.#depth++;
    else if (character === '}' || character === ']') this.#complete = --this.#depth === 0;
  }
}
