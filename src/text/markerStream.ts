/** Text that comes in pieces, divided at markers as soon as they are certain; what may be the beginning of one is held back. */
export class MarkerStream {
  readonly #markers: readonly string[];
  #held = '';

  constructor(markers: readonly string[]) {
    this.#markers = markers;
  }

  /** @returns the pieces that are certain by now, each marker by itself */
  push(text: string): string[] {
    this.#held += text;
    return this.#take(this.#possibleBeginning());
  }

  /** @returns what is left */
  end(): string[] {
    return this.#take(0);
  }

  /** @param open how many characters at the end may belong to a marker */
  #take(open: number): string[] {
    const pieces: string[] = [];
    const certain = this.#held.length - open;
    let at = 0;
    for (let next = this.#next(at); next && next.at <= certain; next = this.#next(at)) {
      pieces.push(this.#held.slice(at, next.at), next.marker);
      at = next.at + next.marker.length;
    }
    const end = Math.max(at, certain);
    pieces.push(this.#held.slice(at, end));
    this.#held = this.#held.slice(end);
    return pieces.filter(piece => piece !== '');
  }

  /** The first marker from a place on. */
  #next(from: number): { at: number; marker: string } | undefined {
    const found = this.#markers.map(marker => ({ marker, at: this.#held.indexOf(marker, from) }));
    return found.filter(({ at }) => at >= 0).sort((a, b) => a.at - b.at)[0];
  }

  #possibleBeginning(): number {
    const beginning = (marker: string) => {
      let length = Math.min(marker.length - 1, this.#held.length);
      while (!this.#held.endsWith(marker.slice(0, length))) length--;
      return length;
    };
    return Math.max(0, ...this.#markers.map(beginning));
  }
}
