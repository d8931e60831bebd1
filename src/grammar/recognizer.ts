import type { Grammar, Sequence, Term } from './grammar.ts';

/** Where a text that follows a grammar stands: every way in which it may go on. Equal places are one object. */
export interface State {
  /** Whether the text may end here. */
  readonly accepts: boolean;
  /** What may come next; behind each lies what may come after it. */
  readonly places: readonly Place[];
  /** Where each byte leads, as far as that is known: null is nowhere. */
  readonly next: (State | null | undefined)[];
}

/** A position in a sequence, and where to go on behind that sequence: a stack, of which equal ones are one object. */
interface Place {
  id: number;
  sequence: CompiledSequence;
  at: number;
  /** How often the repetition at this position has begun. */
  count: number;
  behind: Place | undefined;
}

type CompiledTerm =
  | { kind: 'byte'; allowed: Uint8Array }
  | { kind: 'token'; token: number }
  | { kind: 'rule'; rule: string }
  | { kind: 'repeat'; body: CompiledSequence; min: number; max: number | null };

interface CompiledSequence {
  id: number;
  terms: CompiledTerm[];
}

/** Follows texts of one grammar, byte by byte: all ways to read them side by side, each with a stack of open rules. */
export class Recognizer {
  readonly start: State;
  readonly #rules: Map<string, CompiledSequence[]>;
  readonly #places = new Map<string, Place>();
  readonly #states = new Map<string, State>();
  #sequences = 0;

  constructor({ rules }: Grammar) {
    this.#rules = new Map(
      Object.entries(rules).map(([name, alternatives]) => [
        name,
        alternatives.map(sequence => this.#compile(sequence)),
      ]),
    );
    this.start = this.#state(reach => {
      for (const alternative of this.#rules.get('root')!) this.#enter(reach, alternative, 0, 0, undefined);
    });
  }

  /** States met so far. */
  get size(): number {
    return this.#states.size;
  }

  /** Null where the grammar does not allow the byte. */
  byte(state: State, byte: number): State | null {
    const known = state.next[byte];
    if (known !== undefined) return known;
    const next = this.#behind(state, term => term.kind === 'byte' && term.allowed[byte] === 1);
    state.next[byte] = next;
    return next;
  }

  token(state: State, token: number): State | null {
    return this.#behind(state, term => term.kind === 'token' && term.token === token);
  }

  /** The control tokens that may come next. */
  tokens({ places }: State): number[] {
    const terms = places.map(({ sequence, at }) => sequence.terms[at]);
    return terms.flatMap(term => (term.kind === 'token' ? [term.token] : []));
  }

  #compile(sequence: Sequence): CompiledSequence {
    return { id: this.#sequences++, terms: sequence.flatMap(term => this.#compileTerm(term)) };
  }

  #compileTerm(term: Term): CompiledTerm[] {
    if ('text' in term) {
      return Array.from(Buffer.from(term.text), byte => ({ kind: 'byte', allowed: byteSet([[byte, byte]]) }));
    }
    if ('bytes' in term) return [{ kind: 'byte', allowed: byteSet(term.bytes) }];
    if ('token' in term) return [{ kind: 'token', token: term.token }];
    if ('rule' in term) return [{ kind: 'rule', rule: term.rule }];
    return [{ kind: 'repeat', body: this.#compile(term.repeat), min: term.min, max: term.max }];
  }

  #behind({ places }: State, matches: (term: CompiledTerm) => boolean): State | null {
    const taken = places.filter(({ sequence, at }) => matches(sequence.terms[at]));
    if (taken.length === 0) return null;
    return this.#state(reach => {
      for (const { sequence, at, behind } of taken) this.#enter(reach, sequence, at + 1, 0, behind);
    });
  }

  #state(fill: (reach: Reach) => void): State {
    const reach: Reach = { places: new Set(), seen: new Set(), accepts: false };
    fill(reach);
    const places = [...reach.places].sort((a, b) => a.id - b.id);
    const key = `${reach.accepts}:${places.map(({ id }) => id)}`;
    const known = this.#states.get(key);
    if (known) return known;
    const state = { accepts: reach.accepts, places, next: [] };
    this.#states.set(key, state);
    return state;
  }

  /** Adds to `reach` every byte or token that may come next at a position. */
  #enter(reach: Reach, sequence: CompiledSequence, at: number, count: number, behind: Place | undefined): void {
    if (at === sequence.terms.length) {
      if (behind) this.#enter(reach, behind.sequence, behind.at, behind.count, behind.behind);
      else reach.accepts = true;
      return;
    }
    const place = this.#place(sequence, at, count, behind);
    if (reach.seen.has(place)) return;
    reach.seen.add(place);
    const term = sequence.terms[at];
    if (term.kind === 'rule') {
      // Nothing is left to do in a sequence that ends here: recursion at the end does not grow the stack.
      const last = at + 1 === sequence.terms.length;
      const after = last ? behind : this.#place(sequence, at + 1, 0, behind);
      for (const alternative of this.#rules.get(term.rule)!) this.#enter(reach, alternative, 0, 0, after);
    } else if (term.kind === 'repeat') {
      const { body, min, max } = term;
      if (max === null || count < max) {
        const again = this.#place(sequence, at, Math.min(count + 1, max ?? min), behind);
        this.#enter(reach, body, 0, 0, again);
      }
      if (count >= min) this.#enter(reach, sequence, at + 1, 0, behind);
    } else {
      reach.places.add(place);
    }
  }

  #place(sequence: CompiledSequence, at: number, count: number, behind: Place | undefined): Place {
    const key = `${sequence.id}:${at}:${count}:${behind?.id}`;
    let place = this.#places.get(key);
    if (!place) {
      place = { id: this.#places.size, sequence, at, count, behind };
      this.#places.set(key, place);
    }
    return place;
  }
}

interface Reach {
  places: Set<Place>;
  seen: Set<Place>;
  accepts: boolean;
}

function byteSet(ranges: readonly [number, number][]): Uint8Array {
  const set = new Uint8Array(256);
  for (const [low, high] of ranges) set.fill(1, low, high + 1);
  return set;
}
