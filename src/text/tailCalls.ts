import { pythonJson } from '../json.ts';
import type { TailFormat } from './callFormat.ts';
import { TextStream } from './textStream.ts';
import type { TurnContent, TurnDelta } from './turnText.ts';

/** Lines that may begin calls are tried in turn, each with all that follows. */
const mostTried = 16;

/**
 * The text of one turn whose calls are what it ends with. From a line on that begins as a call does all is held back until the
 * turn is over: then the calls are told, from the first line whose rest is calls, or it is text.
 */
export class TailCalls {
  readonly content: TurnContent = { content: '', calls: [] };
  readonly #format: TailFormat;
  readonly #text: TextStream;
  readonly #openings: RegExp;
  /** Whether anything but white space came before what is held. */
  #begun = false;
  /** Whether what is held begins as a call does. */
  #waiting = false;
  #held = '';

  constructor(format: TailFormat, stopStrings: readonly string[] = []) {
    this.#format = format;
    this.#text = new TextStream(stopStrings);
    this.#openings = new RegExp(`(?<=^\\s*|\\n[ \\t]*)(?:<\\|python_tag\\|>|\\${format.opening})`, 'g');
  }

  /** Whether a stop string has ended the turn. */
  get stopped(): boolean {
    return this.#text.stopped;
  }

  push(text: string): TurnDelta[] {
    this.#held += text;
    if (this.#waiting) return [];
    const [first] = this.#candidates();
    this.#waiting = first !== undefined;
    return this.#say((first === undefined ? this.#held : this.#held.slice(0, first)).trimEnd().length);
  }

  /** To be called when no more text comes. */
  end(): TurnDelta[] {
    for (const at of this.stopped ? [] : this.#candidates().slice(0, mostTried)) {
      const parsed = this.#format.parse(this.#held.slice(at));
      if (Array.isArray(parsed)) return this.#call(parsed, at);
      this.content.error ??= parsed;
    }
    return [...this.#say(this.#held.length), ...this.#tell(this.#text.end())];
  }

  /** Where calls may begin in what is held. */
  #candidates(): number[] {
    const before = this.#begun ? '.' : '';
    return [...(before + this.#held).matchAll(this.#openings)].map(({ index }) => index - before.length);
  }

  #call(calls: TurnContent['calls'], at: number): TurnDelta[] {
    const said = [...this.#say(this.#held.slice(0, at).trimEnd().length), ...this.#tell(this.#text.end())];
    if (this.stopped) return said;
    delete this.content.error;
    this.content.calls.push(...calls);
    return [
      ...said,
      ...calls.flatMap(({ name, arguments: args }, call): TurnDelta[] => [
        { kind: 'call', call, name },
        { kind: 'arguments', call, text: pythonJson(args) },
      ]),
    ];
  }

  #say(length: number): TurnDelta[] {
    const said = this.#text.push(this.#held.slice(0, length));
    this.#begun ||= length > 0;
    this.#held = this.#held.slice(length);
    return this.#tell(said);
  }

  #tell(text: string): TurnDelta[] {
    this.content.content += text;
    return text ? [{ kind: 'text', text }] : [];
  }
}
