import { type Linear, lmHeadLogits, selectRows, type TopTokens, topTokens } from '../../tensor/ops.ts';
import { scope, Tensor } from '../../tensor/tensor.ts';
import type { RankedToken, TokenLogprob } from '../types.ts';

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

/** The first `count` of a row's `k` tokens. */
export function bestOf(top: TopTokens, row: number, k: number, count: number): TokenLogprob[] {
  return Array.from({ length: count }, (_, i) => ({
    token: top.tokens[row * k + i],
    logprob: top.logprobs[row * k + i],
  }));
}
