import type { Vocabulary } from './vocabulary.ts';

/** The text of tokens as they come in, as far as their bytes make whole characters; bytes that make none become U+FFFD. */
export class TokenStream {
  readonly #bytes: Vocabulary['bytes'];
  readonly #control: Vocabulary['control'];
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  /** @param control how a control token is written. Default: as people write it */
  constructor(vocabulary: Vocabulary, control = vocabulary.control) {
    this.#bytes = vocabulary.bytes;
    this.#control = control;
  }

  push(token: number): string {
    const bytes = this.#bytes(token);
    if (bytes) return this.#decoder.decode(bytes, { stream: true });
    const control = this.#control(token);
    return control === undefined ? '' : this.#decoder.decode() + control;
  }

  end(): string {
    return this.#decoder.decode();
  }
}
