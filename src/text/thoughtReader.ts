import { SPEAK, THINK, type ThoughtStart } from './thought.ts';
import type { Vocabulary } from './vocabulary.ts';

/** The thought before an answer, token by token. */
export class ThoughtReader {
  readonly #vocabulary: Vocabulary;
  readonly #open: number | undefined;
  readonly #close: number | undefined;
  readonly #decoder = new TextDecoder();
  #place: 'before' | 'inside' | 'behind';

  /** @param thought whether the prompt has begun it, or it may come */
  constructor(vocabulary: Vocabulary, thought: ThoughtStart) {
    this.#vocabulary = vocabulary;
    this.#open = vocabulary.controlId(THINK);
    this.#close = vocabulary.controlId(SPEAK);
    this.#place = thought === 'begun' ? 'inside' : 'before';
  }

  /** @returns what is certain of the thought by now; undefined where the token is none of it */
  push(token: number): string | undefined {
    if (this.#place === 'before') {
      this.#place = token === this.#open ? 'inside' : 'behind';
      return token === this.#open ? '' : undefined;
    }
    if (this.#place === 'behind') return undefined;
    if (token === this.#close) {
      this.#place = 'behind';
      return this.#decoder.decode();
    }
    return this.#decoder.decode(this.#vocabulary.bytes(token), { stream: true });
  }
}
