/** A value, with what is done to which operands to get it. */
export type Expression =
  | { kind: 'number'; digits: string }
  | { kind: 'symbol'; name: string }
  | { kind: 'apply'; name: string; operands: Answer[] };

/** What an answer says, apart from how it is put on the page. */
export type Answer =
  | Expression
  | { kind: 'words'; text: string }
  /** In any order: sets, lists of solutions; `joint` is what stands between them. */
  | { kind: 'set'; items: Answer[]; joint: string }
  /** In order, with their brackets: tuples, intervals, the rows of a matrix; `:` for ratios. */
  | { kind: 'sequence'; brackets: string; items: Answer[] }
  /** Sides with a sign between each two. */
  | { kind: 'relation'; sides: Side[]; signs: string[] }
  | { kind: 'combination'; sign: string; left: Answer; right: Answer }
  | { kind: 'quantity'; value: Answer; unit: string }
  | { kind: 'based'; digits: string; base: string };

export interface Side {
  value: Answer;
  /** Whether it only names what the other side says: `x`, `f(x)`, `AB`. */
  isName: boolean;
}

export function apply(name: string, ...operands: Answer[]): Answer {
  return { kind: 'apply', name, operands };
}

export function difference(a: Answer, b: Answer): Answer {
  return apply('add', a, apply('negate', b));
}
