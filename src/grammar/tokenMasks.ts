import type { Vocabulary } from '../text/vocabulary.ts';
import type { Grammar } from './grammar.ts';
import { Recognizer, type State } from './recognizer.ts';
import { TokenTrie } from './tokenTrie.ts';

/** One completion on its way through a grammar. */
export interface GrammarWalk {
  /** A bit for each token id: whether it may come next. Do not change it. */
  mask(): Int32Array;
  accept(token: number): void;
}

/** Grammars kept with all that is known of their states: requests of one client mostly have the same. */
const keptGrammars = 16;
/** States of all of them together, of some 2 kB each; the grammars that were asked for longest ago go first. */
const keptStates = 50_000;
/** Masks kept for each of them: a large vocabulary's takes 20 kB. */
const keptMasks = 256;

/** Which tokens of a vocabulary may come next in a text that follows a grammar. */
export class TokenMasks {
  readonly #vocabulary: Vocabulary;
  readonly #trie: TokenTrie;
  readonly #size: number;
  readonly #grammars = new Map<string, GrammarMasks>();

  /** @param size tokens that the model has logits for, which may be more than its tokenizer has tokens */
  constructor(vocabulary: Vocabulary, size: number) {
    this.#vocabulary = vocabulary;
    this.#trie = new TokenTrie(vocabulary, size);
    this.#size = size;
  }

  /** @param stop the tokens that may come when the text is complete */
  begin(grammar: Grammar, stop: readonly number[]): GrammarWalk {
    const key = JSON.stringify([grammar, stop]);
    const masks =
      this.#grammars.get(key) ??
      new GrammarMasks(new Recognizer(grammar), this.#vocabulary, this.#trie, this.#size, stop);
    this.#grammars.delete(key);
    this.#grammars.set(key, masks);
    this.#forget();
    let state: State | null = masks.start;
    return {
      mask: () => masks.mask(state!),
      accept: token => {
        state = masks.behind(state!, token) ?? state;
      },
    };
  }

  #forget(): void {
    let states = [...this.#grammars.values()].reduce((sum, masks) => sum + masks.states, 0);
    for (const [key, masks] of this.#grammars) {
      if (this.#grammars.size <= keptGrammars && states <= keptStates) return;
      this.#grammars.delete(key);
      states -= masks.states;
    }
  }
}

class GrammarMasks {
  readonly #recognizer: Recognizer;
  readonly #vocabulary: Vocabulary;
  readonly #trie: TokenTrie;
  readonly #size: number;
  readonly #stop: readonly number[];
  readonly #masks = new Map<State, Int32Array>();

  constructor(recognizer: Recognizer, vocabulary: Vocabulary, trie: TokenTrie, size: number, stop: readonly number[]) {
    this.#recognizer = recognizer;
    this.#vocabulary = vocabulary;
    this.#trie = trie;
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
    const recognizer = this.#recognizer;
    this.#trie.each(state, (from, byte) => recognizer.byte(from, byte), allow);
    for (const token of this.#recognizer.tokens(state)) allow(token);
    if (state.accepts) for (const token of this.#stop) allow(token);
    return mask;
  }
}
