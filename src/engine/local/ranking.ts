import { type Linear, lmHeadLogits, selectRows, type TopTokens, topTokens } from '../../tensor/ops.ts';
import type { Pieces } from '../../tensor/pieces.ts';
import { scope, Tensor } from '../../tensor/tensor.ts';
import type { Alternatives, RankedToken, TokenLogprob } from '../types.ts';

/** A given token, and the row of the decoder's output that predicts it. */
export interface Given {
  row: number;
  token: number;
  /** How many of the most probable tokens to tell beside it. */
  alternatives: number;
  tell(ranked: RankedToken): void;
}

/** Rows whose whole logits are in memory at the same time. */
const logitRows = 64;

/** Tells where given tokens stand among all that could have come in their place. `hidden` is [rows, width]; rows increase. */
export function rankGiven(hidden: Tensor, head: Linear, given: readonly Given[]): void {
  for (let first = 0; first < given.length; first += logitRows) {
    const part = given.slice(first, first + logitRows);
    const k = Math.max(...part.map(({ alternatives }) => alternatives));
    const rows = Tensor.from(Int32Array.from(part, ({ row }) => row));
    const targets = Int32Array.from(part, ({ token }) => token);
    const top = scope(() => topTokens(lmHeadLogits(selectRows(undefined, hidden, rows), head), k, targets));
    part.forEach(({ token, alternatives, tell }, i) => {
      const [logprob, rank] = [top.targetLogprobs[i], top.targetRanks[i]];
      tell({ token, logprob, rank, alternatives: bestOf(top, i, k, alternatives) });
    });
  }
}

/** The `each` most probable tokens after each row of `hidden` [rows, width], some rows a piece. */
export function* mostProbable(hidden: Tensor, head: Linear, each: number): Pieces<Alternatives> {
  const [rows] = hidden.shape;
  const best = { each, tokens: new Int32Array(rows * each), logprobs: new Float32Array(rows * each) };
  for (let first = 0; first < rows; first += logitRows) {
    yield;
    const part = Int32Array.from({ length: Math.min(logitRows, rows - first) }, (_, i) => first + i);
    const top = scope(() => {
      const logits = lmHeadLogits(selectRows(undefined, hidden, Tensor.from(part)), head);
      return topTokens(logits, each, new Int32Array(part.length));
    });
    best.tokens.set(top.tokens, first * each);
    best.logprobs.set(top.logprobs, first * each);
  }
  return best;
}

/** The first `count` of a row's `k` tokens. */
export function bestOf(top: TopTokens, row: number, k: number, count: number): TokenLogprob[] {
  return Array.from({ length: count }, (_, i) => ({
    token: top.tokens[row * k + i],
    logprob: top.logprobs[row * k + i],
  }));
}
