import type { Vocabulary } from '../text/vocabulary.ts';

/**
 * A vocabulary's texts as one tree of bytes, its nodes in the order of a walk from the root downwards: what many texts begin with
 * is followed once, and where that fails, all of them are passed over.
 */
export class TokenTrie {
  /** Of each node: its byte, how many bytes stand before it, and the first node that is not beneath it. */
  readonly #bytes: Uint8Array;
  readonly #depths: Uint16Array;
  readonly #ends: Int32Array;
  /** Tokens in the order of the nodes at which their texts end, and where each node's begin. */
  readonly #tokens: Int32Array;
  readonly #tokenStarts: Int32Array;

  /** @param size only tokens below it */
  constructor(vocabulary: Vocabulary, size: number) {
    const texts: { id: number; text: string }[] = [];
    for (let id = 0; id < Math.min(vocabulary.size, size); id++) {
      const bytes = vocabulary.bytes(id);
      if (bytes?.length) texts.push({ id, text: Buffer.from(bytes).toString('latin1') });
    }
    texts.sort((a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0));
    const bytes: number[] = [];
    const depths: number[] = [];
    const ends: number[] = [];
    const tokenStarts: number[] = [];
    /** The nodes that spell the text before. */
    const path: number[] = [];
    let before = '';
    texts.forEach(({ text }, place) => {
      const shared = sharedLength(before, text);
      for (const node of path.splice(shared)) ends[node] = bytes.length;
      for (let depth = shared; depth < text.length; depth++) {
        path.push(bytes.length);
        bytes.push(text.charCodeAt(depth));
        depths.push(depth);
        tokenStarts.push(place);
      }
      before = text;
    });
    for (const node of path) ends[node] = bytes.length;
    this.#bytes = Uint8Array.from(bytes);
    this.#depths = Uint16Array.from(depths);
    this.#ends = Int32Array.from(ends);
    this.#tokens = Int32Array.from(texts, ({ id }) => id);
    this.#tokenStarts = Int32Array.from([...tokenStarts, texts.length]);
  }

  /**
   * Tells every token whose whole text can be followed.
   * @param step from where one is, over a byte; null where there is no way
   */
  each<Place>(start: Place, step: (from: Place, byte: number) => Place | null, found: (token: number) => void): void {
    const reached: Place[] = [start];
    for (let node = 0; node < this.#bytes.length; ) {
      const depth = this.#depths[node];
      const next = step(reached[depth], this.#bytes[node]);
      if (next === null) {
        node = this.#ends[node];
        continue;
      }
      reached[depth + 1] = next;
      const end = this.#tokenStarts[node + 1];
      for (let place = this.#tokenStarts[node]; place < end; place++) found(this.#tokens[place]);
      node++;
    }
  }
}

function sharedLength(a: string, b: string): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}
