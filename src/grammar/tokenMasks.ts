import type { Vocabulary } from '../text/vocabulary.ts';
import type { Grammar } from './grammar.ts';
import { type Budget, Recognizer, type State } from './recognizer.ts';
import { TokenTrie } from './tokenTrie.ts';

/** One completion on its way through a grammar. */
export interface Walk {
  readonly key: string;
  readonly masks: GrammarMasks;
  state: State;
}

/** Grammars kept with all that is known of their states: requests of one client mostly have the same. */
const keptGrammars = 16;
/** What is known of all of them together; the grammars that were asked for longest ago go first. */
const keptBytes = 64 << 20;

/** Which tokens of a vocabulary may come next in a text that follows a grammar. */
export class TokenMasks {
  readonly #vocabulary: Vocabulary;
  readonly #trie: TokenTrie;
  readonly #size: number;
  readonly #budget: Budget | undefined;
  readonly #grammars = new Map<string, GrammarMasks>();

  /** @param size tokens that the model has logits for, which may be more than its tokenizer has tokens */
  constructor(vocabulary: Vocabulary, size: number, budget?: Budget) {
    this.#vocabulary = vocabulary;
    this.#trie = new TokenTrie(vocabulary, size);
    this.#size = size;
    this.#budget = budget;
  }

  /**
   * @param grammar as JSON
   * @param stop the tokens that may come when the text is complete
   * @throws UserError where the grammar is larger than the budget
   */
  begin(grammar: string, stop: readonly number[]): Walk {
    const key = `${stop}:${grammar}`;
    const masks = this.#grammars.get(key) ?? this.#masks(JSON.parse(grammar), stop);
    return { key, masks, state: masks.start };
  }

  /**
   * Goes on by these tokens, as far as the grammar allows them.
   * @returns a bit for each token id: whether it may come next. Do not change it.
   * @throws UserError where that takes more than the budget
   */
  advance(walk: Walk, tokens: readonly number[]): Int32Array {
    walk.state = walk.masks.behind(walk.state, tokens);
    const mask = walk.masks.mask(walk.state);
    this.#grammars.delete(walk.key);
    this.#grammars.set(walk.key, walk.masks);
    this.#forget();
    return mask;
  }

  #forget(): void {
    let bytes = [...this.#grammars.values()].reduce((sum, masks) => sum + masks.bytes, 0);
    for (const [key, masks] of this.#grammars) {
      if (this.#grammars.size <= keptGrammars && bytes <= keptBytes) return;
      this.#grammars.delete(key);
      bytes -= masks.bytes;
      masks.forget();
    }
  }

  #masks(grammar: Grammar, stop: readonly number[]): GrammarMasks {
    return new GrammarMasks(new Recognizer(grammar, this.#budget), this.#vocabulary, this.#trie, this.#size, stop);
  }
}

let generations = 0;

/** What is known of one grammar: which tokens may come in each of its states. */
export class GrammarMasks {
  readonly #recognizer: Recognizer;
  readonly #vocabulary: Vocabulary;
  readonly #trie: TokenTrie;
  readonly #size: number;
  readonly #stop: readonly number[];
  readonly #masks = new Map<State, Int32Array>();
  #generation = generations++;

  constructor(recognizer: Recognizer, vocabulary: Vocabulary, trie: TokenTrie, size: number, stop: readonly number[]) {
    this.#recognizer = recognizer;
    this.#vocabulary = vocabulary;
    this.#trie = trie;
    this.#size = size;
    this.#stop = stop;
  }

  get bytes(): number {
    return this.#recognizer.bytes + this.#masks.size * Math.ceil(this.#size / 8);
  }

  get start(): State {
    return this.#recognizer.start;
  }

  /** Names a state, for as long as what is known of the grammar is kept. */
  name(state: State): string {
    return `${this.#generation}.${state.id}`;
  }

  /** Where the tokens lead, as far as the grammar allows them. */
  behind(state: State, tokens: readonly number[]): State {
    this.#recognizer.beginTask();
    return tokens.reduce((from, token) => this.#behind(from, token) ?? from, state);
  }

  /** A bit for each token id: whether it may come next. Do not change it. */
  mask(state: State): Int32Array {
    let mask = this.#masks.get(state);
    if (!mask) {
      this.#recognizer.beginTask();
      mask = this.#compute(state);
      this.#masks.set(state, mask);
    }
    return mask;
  }

  forget(): void {
    this.#generation = generations++;
    this.#masks.clear();
    this.#recognizer.forget();
  }

  #behind(state: State, token: number): State | null {
    const bytes = this.#vocabulary.bytes(token);
    if (!bytes) return this.#recognizer.token(state, token);
    let next: State | null = state;
    for (let i = 0; next && i < bytes.length; i++) next = this.#recognizer.byte(next, bytes[i]);
    return next;
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
