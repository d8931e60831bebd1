import { MarkerStream } from './markerStream.ts';

/** Text that comes in pieces, cut before the first stop string; what may be the beginning of one is held back. */
export class TextStream {
  readonly #stops: readonly string[];
  readonly #pieces: MarkerStream;
  #stopped = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops;
    this.#pieces = new MarkerStream(stops);
  }

  /** Whether a stop string has come. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** @returns the text that is certain by now */
  push(text: string): string {
    return this.#cut(this.#pieces.push(text));
  }

  /** @returns what is left; more text may follow, but no stop string spans this place. */
  end(): string {
    return this.#cut(this.#pieces.end());
  }

  #cut(pieces: readonly string[]): string {
    if (this.#stopped) return '';
    const stop = pieces.findIndex(piece => this.#stops.includes(piece));
    this.#stopped = stop >= 0;
    return (this.#stopped ? pieces.slice(0, stop) : pieces).join('');
  }
}
