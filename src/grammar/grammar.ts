/**
 * What a completion may spell, as a context-free grammar over bytes and control tokens: plain data, so that it can be sent to
 * where tokens are sampled.
 */
export interface Grammar {
  /** The alternatives of each rule; the whole text is one `root`. */
  rules: Record<string, Sequence[]>;
}

export type Sequence = Term[];

export type Term =
  /** One byte within one of these ranges, ends included. */
  | { bytes: [low: number, high: number][] }
  /** This text in UTF-8. */
  | { text: string }
  /** One control token. */
  | { token: number }
  | { rule: string }
  /** `max` null: without end. */
  | { repeat: Sequence; min: number; max: number | null };
