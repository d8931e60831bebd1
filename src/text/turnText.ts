import { pythonJson } from '../json.ts';
import { MarkerStream } from './markerStream.ts';
import type { ToolCall } from './message.ts';
import { TextStream } from './textStream.ts';
import { parseToolCall } from './toolCall.ts';

/** A piece of a turn as it is told while the turn is under way. `call` counts the turn's calls from 0. */
export type TurnDelta =
  | { kind: 'thought'; text: string }
  | { kind: 'text'; text: string }
  | { kind: 'call'; call: number; name: string }
  | { kind: 'arguments'; call: number; text: string };

/** What is in a turn. */
export interface TurnContent {
  /** What was thought before. */
  reasoning?: string;
  /** What is said beside calls. */
  content: string;
  /** Well-formed calls in order. */
  calls: ToolCall[];
  /** What is wrong with the first call that is not well-formed, for the model to read; the call is in `content`. */
  error?: string;
}

export const OPEN = '<tool_call>';
export const CLOSE = '</tool_call>';

export interface TurnTextOptions {
  /** What opens and closes a call; undefined: nothing, all is text. */
  markers?: { open: string; close: string };
  /** Text is told up to the first of these. */
  stopStrings?: readonly string[];
}

/**
 * The text of one turn as it comes in. This is the one rule by which calls are read, by whoever reads them: a call is a JSON
 * object between its markers, and told when it is complete. A second opening marker begins anew, and what stood behind the
 * first is text: a thought may name the marker. What no call can be read from is text, and an error.
 */
export class TurnText {
  readonly content: TurnContent = { content: '', calls: [] };
  readonly #markers: TurnTextOptions['markers'];
  readonly #pieces: MarkerStream;
  readonly #text: TextStream;
  /** What stands behind an opening marker so far. */
  #block: string | undefined;
  /** White space that counts if text follows it. */
  #space = '';
  /** White space before the calls behind which no text has come yet. */
  #gap: string | undefined;

  constructor({ markers, stopStrings = [] }: TurnTextOptions) {
    this.#markers = markers;
    this.#pieces = new MarkerStream(markers ? [markers.open, markers.close] : []);
    this.#text = new TextStream(stopStrings);
  }

  /** Whether a stop string has ended the turn. */
  get stopped(): boolean {
    return this.#text.stopped;
  }

  push(text: string): TurnDelta[] {
    return this.#pieces.push(text).flatMap(piece => this.#take(piece));
  }

  /** To be called when no more text comes. */
  end(): TurnDelta[] {
    const deltas = this.#pieces.end().flatMap(piece => this.#take(piece));
    if (this.#block !== undefined) {
      deltas.push(...this.#refuse(`tool call is not closed: ${CLOSE} is missing`, OPEN + this.#block));
    }
    deltas.push(...this.#say(this.#text.end()));
    return this.content.calls.length === 0 ? [...deltas, ...this.#tell(this.#space)] : deltas;
  }

  #take(piece: string): TurnDelta[] {
    if (this.stopped) return [];
    if (piece === this.#markers?.open) return this.#open();
    const isClosing = piece === this.#markers?.close;
    if (this.#block === undefined) return this.#say(this.#text.push(isClosing ? CLOSE : piece));
    if (isClosing) return this.#close(this.#block);
    this.#block += piece;
    return [];
  }

  #open(): TurnDelta[] {
    const abandoned = this.#block === undefined ? '' : OPEN + this.#block;
    const deltas = this.#say(this.#text.push(abandoned) + this.#text.end());
    this.#block = this.stopped ? undefined : '';
    return deltas;
  }

  #close(block: string): TurnDelta[] {
    const parsed = parseToolCall(block);
    if (typeof parsed === 'string') return this.#refuse(parsed, OPEN + block + CLOSE);
    this.#block = undefined;
    this.#gap = wider(this.#gap ?? '', this.#space);
    this.#space = '';
    const call = this.content.calls.push(parsed) - 1;
    return [
      { kind: 'call', call, name: parsed.name },
      { kind: 'arguments', call, text: pythonJson(parsed.arguments) },
    ];
  }

  #refuse(error: string, text: string): TurnDelta[] {
    this.#block = undefined;
    this.content.error ??= error;
    return this.#say(this.#text.push(text));
  }

  /** White space at the end waits for what follows; of that before and behind a call the wider one is kept. */
  #say(text: string): TurnDelta[] {
    const all = this.#space + text;
    const solid = all.trimEnd();
    this.#space = all.slice(solid.length);
    if (!solid) return [];
    if (this.#gap === undefined) return this.#tell(solid);
    const behind = solid.trimStart();
    const space = wider(this.#gap, solid.slice(0, solid.length - behind.length));
    this.#gap = undefined;
    return this.#tell(this.content.content ? space + behind : behind);
  }

  #tell(text: string): TurnDelta[] {
    this.content.content += text;
    return text ? [{ kind: 'text', text }] : [];
  }
}

/** The turn whose text is `text`, with its markers as people write them. */
export function readTurn(text: string): TurnContent {
  const turn = new TurnText({ markers: { open: OPEN, close: CLOSE } });
  turn.push(text);
  turn.end();
  return turn.content;
}

/** Of two white spaces the one with more lines; of as many lines, the longer one. */
function wider(space: string, other: string): string {
  const [lines, otherLines] = [space, other].map(text => text.split('\n').length);
  return otherLines > lines || (otherLines === lines && other.length > space.length) ? other : space;
}
