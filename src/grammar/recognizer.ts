import { UserError } from '../errors.ts';
import { ByteClasses, type ByteTerm } from './byteClasses.ts';
import type { Grammar, Sequence, Term } from './grammar.ts';

/** Where a text that follows a grammar stands: every way in which it may go on. Equal places are one object. */
export interface State {
  readonly id: number;
  /** Whether the text may end here. */
  readonly accepts: boolean;
  /** What may come next; behind each lies what may come after it. */
  readonly places: readonly Place[];
  /** Where each class of bytes leads, as far as that is known: null is nowhere. */
  next: (State | null | undefined)[];
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
  | ByteTerm
  | { kind: 'token'; token: number }
  | { kind: 'rule'; rule: string }
  | { kind: 'repeat'; body: CompiledSequence; min: number; max: number | null };

interface CompiledSequence {
  id: number;
  terms: CompiledTerm[];
}

/** What one task, to find the start or the mask of a state, may take: both are counted, so that equal grammars fare equally. */
export interface Budget {
  /** Of work: a hundred million take about a second. */
  steps: number;
  /** Memory for what is found. */
  bytes: number;
}

export const defaultBudget: Budget = { steps: 50_000_000, bytes: 64 << 20 };

/** About what V8 takes. */
const [bytesOfTerm, bytesOfPlace, bytesOfState] = [8, 200, 300];
/** What it takes to find a place among all, where to look at one is a step. */
const stepsToFind = 20;

/** Follows texts of one grammar, byte by byte: all ways to read them side by side, each with a stack of open rules. */
export class Recognizer {
  readonly start: State;
  readonly #budget: Budget;
  readonly #rules: Map<string, Sequence[]>;
  readonly #classes: ByteClasses;
  /** Rules that have been entered. */
  readonly #compiled = new Map<string, CompiledSequence[]>();
  readonly #places = new Map<string, Place>();
  readonly #states = new Map<string, State>();
  #sequences = 0;
  #nextPlace = 0;
  #nextState = 0;
  #bytes = 0;
  /** Where the task under way runs out. */
  #mostBytes = 0;
  #stepsLeft = 0;

  /** @throws UserError where the budget does not suffice to find the start, or no text fits the grammar */
  constructor({ rules }: Grammar, budget = defaultBudget) {
    this.#budget = budget;
    this.#rules = new Map(Object.entries(rules));
    this.#classes = new ByteClasses(this.#rules.values());
    this.beginTask();
    this.start = this.#state(this.#rule('root').map(sequence => ({ sequence, at: 0, count: 0, behind: undefined })));
    if (this.start.places.length === 0 && !this.start.accepts) throw new UserError('no value fits the schema');
  }

  /** What is known of the grammar, about in bytes of memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** From here on `byte` and `token` may take a whole budget, and throw a UserError beyond it. */
  beginTask(): void {
    this.#stepsLeft = this.#budget.steps;
    this.#mostBytes = this.#bytes + this.#budget.bytes;
  }

  /** Lets go of all that was found. States that somebody still has can be gone on from, and are found anew behind. */
  forget(): void {
    this.#places.clear();
    this.#states.clear();
    this.#compiled.clear();
    this.start.next = [];
    this.#bytes = 0;
  }

  /** Null where the grammar does not allow the byte. */
  byte(state: State, byte: number): State | null {
    const kind = this.#classes.of(byte);
    const known = state.next[kind];
    if (known !== undefined) return known;
    const next = this.#behind(state, term => term.kind === 'byte' && term.allowed[kind] === 1);
    state.next[kind] = next;
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

  #rule(name: string): CompiledSequence[] {
    let rule = this.#compiled.get(name);
    if (!rule) {
      rule = this.#rules.get(name)!.map(sequence => this.#compile(sequence));
      this.#compiled.set(name, rule);
    }
    return rule;
  }

  #compile(sequence: Sequence): CompiledSequence {
    const terms = sequence.flatMap(term => this.#compileTerm(term));
    this.#spend(terms.length, (1 + terms.length) * bytesOfTerm);
    return { id: this.#sequences++, terms };
  }

  #compileTerm(term: Term): CompiledTerm[] {
    if ('text' in term) return Array.from(Buffer.from(term.text), byte => this.#classes.only(byte));
    if ('bytes' in term) return [this.#classes.within(term.bytes)];
    if ('token' in term) return [{ kind: 'token', token: term.token }];
    if ('rule' in term) return [{ kind: 'rule', rule: term.rule }];
    return [{ kind: 'repeat', body: this.#compile(term.repeat), min: term.min, max: term.max }];
  }

  #behind({ places }: State, matches: (term: CompiledTerm) => boolean): State | null {
    this.#spend(places.length, 0);
    const taken = places.filter(({ sequence, at }) => matches(sequence.terms[at]));
    if (taken.length === 0) return null;
    return this.#state(taken.map(({ sequence, at, behind }) => ({ sequence, at: at + 1, count: 0, behind })));
  }

  #state(from: Omit<Place, 'id'>[]): State {
    const reach = this.#reach(from);
    const places = [...reach.places].sort((a, b) => a.id - b.id);
    const key = `${reach.accepts}:${places.map(({ id }) => id)}`;
    let state = this.#states.get(key);
    if (!state) {
      this.#spend(0, bytesOfState + key.length + 8 * (places.length + this.#classes.count));
      state = { id: this.#nextState++, accepts: reach.accepts, places, next: [] };
      this.#states.set(key, state);
    }
    return state;
  }

  /** Every byte or token that may come next at these positions. */
  #reach(open: Omit<Place, 'id'>[]): { places: Set<Place>; accepts: boolean } {
    const reach = { places: new Set<Place>(), accepts: false };
    const seen = new Set<Place>();
    for (let position = open.pop(); position; position = open.pop()) {
      const { sequence, at, count, behind } = position;
      this.#spend(stepsToFind, 0);
      if (at === sequence.terms.length) {
        if (behind) open.push(behind);
        else reach.accepts = true;
        continue;
      }
      const place = this.#place(sequence, at, count, behind);
      if (seen.has(place)) continue;
      seen.add(place);
      const term = sequence.terms[at];
      if (term.kind === 'rule') {
        // Nothing is left to do in a sequence that ends here: recursion at the end does not grow the stack.
        const last = at + 1 === sequence.terms.length;
        const after = last ? behind : this.#place(sequence, at + 1, 0, behind);
        for (const alternative of this.#rule(term.rule)) {
          open.push({ sequence: alternative, at: 0, count: 0, behind: after });
        }
      } else if (term.kind === 'repeat') {
        const { body, min, max } = term;
        if (max === null || count < max) {
          const again = this.#place(sequence, at, Math.min(count + 1, max ?? min), behind);
          open.push({ sequence: body, at: 0, count: 0, behind: again });
        }
        if (count >= min) open.push({ sequence, at: at + 1, count: 0, behind });
      } else {
        reach.places.add(place);
      }
    }
    return reach;
  }

  #place(sequence: CompiledSequence, at: number, count: number, behind: Place | undefined): Place {
    const key = `${sequence.id}:${at}:${count}:${behind?.id}`;
    let place = this.#places.get(key);
    if (!place) {
      this.#spend(0, bytesOfPlace);
      place = { id: this.#nextPlace++, sequence, at, count, behind };
      this.#places.set(key, place);
    }
    return place;
  }

  #spend(steps: number, bytes: number): void {
    this.#stepsLeft -= steps;
    this.#bytes += bytes;
    if (this.#stepsLeft >= 0 && this.#bytes <= this.#mostBytes) return;
    throw new UserError(
      'there are too many ways to fit the schema; write it with fewer choices, lengths and optional properties',
    );
  }
}
