import type { Sequence } from './grammar.ts';

type Ranges = readonly (readonly [low: number, high: number])[];

/** `allowed` has an entry for each class of bytes. */
export interface ByteTerm {
  kind: 'byte';
  allowed: Uint8Array;
}

/** Bytes that a grammar never tells apart are of one class: what is known of one is known of all. */
export class ByteClasses {
  readonly count: number;
  readonly #classes: Uint8Array;
  readonly #terms = new Map<string, ByteTerm>();
  readonly #single: ByteTerm[] = [];

  /** @param rules alternatives of each of the grammar's rules */
  constructor(rules: Iterable<readonly Sequence[]>) {
    /** Whether a byte and the one before it are told apart. */
    const begins = new Uint8Array(257);
    begins[0] = 1;
    for (const alternatives of rules) for (const sequence of alternatives) markEdges(sequence, begins);
    let last = -1;
    this.#classes = Uint8Array.from({ length: 256 }, (_, byte) => {
      last += begins[byte];
      return last;
    });
    this.count = last + 1;
  }

  of(byte: number): number {
    return this.#classes[byte];
  }

  /** One byte within these ranges, all of which the grammar has. Equal ranges have one answer. */
  within(ranges: Ranges): ByteTerm {
    const key = ranges.join(' ');
    let term = this.#terms.get(key);
    if (!term) {
      term = this.#term(ranges);
      this.#terms.set(key, term);
    }
    return term;
  }

  /** This byte alone. */
  only(byte: number): ByteTerm {
    this.#single[byte] ??= this.#term([[byte, byte]]);
    return this.#single[byte];
  }

  #term(ranges: Ranges): ByteTerm {
    const allowed = new Uint8Array(this.count);
    for (const [low, high] of ranges) allowed.fill(1, this.of(low), this.of(high) + 1);
    return { kind: 'byte', allowed };
  }
}

function markEdges(sequence: Sequence, begins: Uint8Array): void {
  const mark = (low: number, high: number) => {
    begins[low] = 1;
    begins[high + 1] = 1;
  };
  for (const term of sequence) {
    if ('text' in term) for (const byte of Buffer.from(term.text)) mark(byte, byte);
    else if ('bytes' in term) for (const [low, high] of term.bytes) mark(low, high);
    else if ('repeat' in term) markEdges(term.repeat, begins);
  }
}
