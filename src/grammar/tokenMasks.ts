import type { Vocabulary } from '../text/vocabulary.ts';
import type { Grammar } from './grammar.ts';
import { Recognizer, type State } from './recognizer.ts';

/** One completion on its way through a grammar. */
export interface GrammarWalk {
  /** A bit for each token id: whether it may come next. Do not change it. */
  mask(): Int32Array;
  accept(token: number): void;
}

/** Grammars kept with all that is known of their states: requests of one client mostly have the same. */
const keptGrammars = 16;
/** A grammar that has met more states than this is begun anew. */
const keptStates = 50_000;
/** Masks kept for each of them: a large vocabulary's takes 20 kB. */
const keptMasks = 256;

/** Which tokens of a vocabulary may come next in a text that follows a grammar. */
export class TokenMasks {
  readonly #vocabulary: SortedVocabulary;
  readonly #size: number;
  readonly #grammars = new Map<string, GrammarMasks>();

  /** @param size tokens that the model has logits for, which may be more than its tokenizer has tokens */
  constructor(vocabulary: Vocabulary, size: number) {
    this.#vocabulary = new SortedVocabulary(vocabulary, size);
    this.#size = size;
  }

  /** @param stop the tokens that may come when the text is complete */
  begin(grammar: Grammar, stop: readonly number[]): GrammarWalk {
    const key = JSON.stringify([grammar, stop]);
    const masks =
      this.#grammars.get(key) ?? new GrammarMasks(new Recognizer(grammar), this.#vocabulary, this.#size, stop);
    this.#grammars.delete(key);
    if (masks.states <= keptStates) this.#grammars.set(key, masks);
    if (this.#grammars.size > keptGrammars) this.#grammars.delete(this.#grammars.keys().next().value!);
    let state: State | null = masks.start;
    return {
      mask: () => masks.mask(state!),
      accept: token => {
        state = masks.behind(state!, token) ?? state;
      },
    };
  }
}

class GrammarMasks {
  readonly #recognizer: Recognizer;
  readonly #vocabulary: SortedVocabulary;
  readonly #size: number;
  readonly #stop: readonly number[];
  readonly #masks = new Map<State, Int32Array>();

  constructor(recognizer: Recognizer, vocabulary: SortedVocabulary, size: number, stop: readonly number[]) {
    this.#recognizer = recognizer;
    this.#vocabulary = vocabulary;
    this.#size = size;
    this.#stop = stop;
  }

  get states(): number {
    return this.#recognizer.size;
  }

  get start(): State {
    return this.#recognizer.start;
  }

  behind(state: State, token: number): State | null {
    const bytes = this.#vocabulary.bytes(token);
    if (!bytes) return this.#recognizer.token(state, token);
    let next: State | null = state;
    for (let i = 0; next && i < bytes.length; i++) next = this.#recognizer.byte(next, bytes[i]);
    return next;
  }

  mask(state: State): Int32Array {
    let mask = this.#masks.get(state);
    if (!mask) {
      if (this.#masks.size >= keptMasks) this.#masks.clear();
      mask = this.#compute(state);
      this.#masks.set(state, mask);
    }
    return mask;
  }

  #compute(state: State): Int32Array {
    const mask = new Int32Array(Math.ceil(this.#size / 32));
    const allow = (token: number) => {
      mask[token >> 5] |= 1 << (token & 31);
    };
    this.#vocabulary.each(state, (from, byte) => this.#recognizer.byte(from, byte), allow);
    for (const token of this.#recognizer.tokens(state)) allow(token);
    if (state.accepts) for (const token of this.#stop) allow(token);
    return mask;
  }
}

/** The texts of a vocabulary in the order of their bytes: neighbours share beginnings, which are followed once. */
class SortedVocabulary {
  readonly #vocabulary: Vocabulary;
  readonly #ids: number[];
  readonly #bytes: Uint8Array[];
  /** How many bytes each text shares with the one before it. */
  readonly #shared: Int32Array;

  constructor(vocabulary: Vocabulary, size: number) {
    this.#vocabulary = vocabulary;
    const texts = Array.from({ length: Math.min(vocabulary.size, size) }, (_, id) => ({
      id,
      bytes: vocabulary.bytes(id),
    }));
    const sorted = texts
      .filter((text): text is { id: number; bytes: Uint8Array } => (text.bytes?.length ?? 0) > 0)
      .sort((a, b) => Buffer.compare(a.bytes, b.bytes));
    this.#ids = sorted.map(({ id }) => id);
    this.#bytes = sorted.map(({ bytes }) => bytes);
    this.#shared = Int32Array.from(this.#bytes, (bytes, i) => (i === 0 ? 0 : sharedBytes(this.#bytes[i - 1], bytes)));
  }

  /** Undefined for control tokens. */
  bytes(token: number): Uint8Array | undefined {
    return this.#vocabulary.bytes(token);
  }

  /** Tells every token whose whole text `step` can follow from `state`. */
  each(state: State, step: (from: State, byte: number) => State | null, found: (token: number) => void): void {
    const reached: State[] = [state];
    let refused = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#ids.length; i++) {
      const shared = this.#shared[i];
      if (shared > refused) continue;
      refused = Number.POSITIVE_INFINITY;
      const bytes = this.#bytes[i];
      for (let at = shared; at < bytes.length; at++) {
        const next = step(reached[at], bytes[at]);
        if (!next) {
          refused = at;
          break;
        }
        reached[at + 1] = next;
      }
      if (refused === Number.POSITIVE_INFINITY) found(this.#ids[i]);
    }
  }
}

function sharedBytes(a: Uint8Array, b: Uint8Array): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}
