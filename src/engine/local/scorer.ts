import { UserError } from '../../errors.ts';
import { decode } from '../../model/decoder.ts';
import { packSequences } from '../../model/pack.ts';
import type { Weights } from '../../model/weights.ts';
import { attention, lmHeadLogits, selectRows, type TopTokens, topTokens } from '../../tensor/ops.ts';
import { scope, Tensor } from '../../tensor/tensor.ts';
import type { RankedToken, ScoredSequence, Scores, TokenIds, TokenLogprob } from '../types.ts';
import { microBatches, pass } from './pass.ts';

/** Log-probabilities and entropies of the sequences' masked tokens, in passes of about `rowsPerPass` packed rows. */
export function score(
  weights: Weights,
  rotary: Tensor,
  sequences: readonly ScoredSequence[],
  rowsPerPass: number,
): Scores[] {
  return microBatches(sequences, rowsPerPass).flatMap(batch =>
    scope(() => {
      const targets = batch.map(({ tokens, mask }) => ({ tokens, wanted: mask }));
      const { logprobs, entropies } = pass(weights, rotary, targets);
      return batch.map((_, i) => ({ logprobs: logprobs[i], entropies: entropies[i] }));
    }),
  );
}

/** Rows whose whole logits are in memory at the same time. */
const logitRows = 64;

/** Where each token but the first stands among all that could have come in its place, with the `alternatives` best of those. */
export function rank(weights: Weights, rotary: Tensor, tokens: TokenIds, alternatives: number): RankedToken[] {
  const { config } = weights;
  if (tokens.length > config.maxPositions) {
    throw new UserError(`the prompt has ${tokens.length} tokens; this model takes ${config.maxPositions}`);
  }
  if (tokens.length < 2) return [];
  return scope(() => {
    const pack = packSequences([tokens.slice(0, -1)]);
    const segments = Tensor.from(pack.segments, [pack.segments.length / 3, 3]);
    const attend = (_: number, qk: Tensor, qkv: Tensor) => attention(undefined, qk, qkv, segments, config);
    const hidden = decode(weights, rotary, pack.ids, pack.positions, attend);
    const k = Math.min(alternatives, config.vocabSize);
    const ranked: RankedToken[] = [];
    for (let first = 1; first < tokens.length; first += logitRows) {
      const targets = Int32Array.from(tokens.slice(first, first + logitRows));
      const rows = Tensor.from(Int32Array.from(targets, (_, i) => pack.rows[0][first - 1 + i]));
      const top = scope(() => topTokens(lmHeadLogits(selectRows(undefined, hidden, rows), weights.head), k, targets));
      targets.forEach((token, row) => {
        ranked.push({
          token,
          logprob: top.targetLogprobs[row],
          rank: top.targetRanks[row],
          alternatives: bestOf(top, row, k, k),
        });
      });
    }
    return ranked;
  });
}

/** The first `count` of a row's `k` tokens. */
export function bestOf(top: TopTokens, row: number, k: number, count: number): TokenLogprob[] {
  return Array.from({ length: count }, (_, i) => ({
    token: top.tokens[row * k + i],
    logprob: top.logprobs[row * k + i],
  }));
}
