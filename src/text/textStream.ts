/** Text that comes in bytes, cut before the first stop string; what may be the beginning of one is held back. */
export class TextStream {
  readonly #decoder = new TextDecoder();
  readonly #stops: readonly string[];
  #held = '';
  #stopped = false;

  constructor(stops: readonly string[] = []) {
    this.#stops = stops;
  }

  /** Whether a stop string has come. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** @returns the text that is certain by now */
  push(bytes: Uint8Array): string {
    return this.#take(this.#decoder.decode(bytes, { stream: true }), false);
  }

  /** @returns what is left; bytes that are no whole character become U+FFFD */
  end(): string {
    return this.#take(this.#decoder.decode(), true);
  }

  #take(text: string, last: boolean): string {
    if (this.#stopped) return '';
    this.#held += text;
    const ends = this.#stops.map(stop => this.#held.indexOf(stop)).filter(at => at >= 0);
    if (ends.length > 0) {
      this.#stopped = true;
      return this.#release(Math.min(...ends));
    }
    return this.#release(last ? this.#held.length : this.#held.length - this.#possibleBeginning());
  }

  #release(length: number): string {
    const text = this.#held.slice(0, length);
    this.#held = this.#held.slice(length);
    return text;
  }

  /** How many characters at the end may belong to a stop string. */
  #possibleBeginning(): number {
    const beginning = (stop: string) => {
      let length = Math.min(stop.length - 1, this.#held.length);
      while (!this.#held.endsWith(stop.slice(0, length))) length--;
      return length;
    };
    return Math.max(0, ...this.#stops.map(beginning));
  }
}
