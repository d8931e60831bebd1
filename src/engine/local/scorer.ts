import type { Weights } from '../../model/weights.ts';
import type { Pieces } from '../../tensor/pieces.ts';
import { scopeInPieces, type Tensor } from '../../tensor/tensor.ts';
import type { Alternatives, ScoredSequence, Scores } from '../types.ts';
import { microBatches, passByLayer } from './pass.ts';
import { mostProbable } from './ranking.ts';

/**
 * Log-probabilities and entropies of the sequences' masked tokens, in passes of about `rowsPerPass` packed rows: a layer a piece.
 * @param alternatives how many of the most probable tokens are told in the place of each
 */
export function* score(
  weights: Weights,
  rotary: Tensor,
  sequences: readonly ScoredSequence[],
  rowsPerPass: number,
  alternatives = 0,
): Pieces<Scores[]> {
  const scores: Scores[] = [];
  for (const batch of microBatches(sequences, rowsPerPass)) {
    scores.push(...(yield* scopeInPieces(scoreBatch(weights, rotary, batch, alternatives))));
  }
  return scores;
}

function* scoreBatch(
  weights: Weights,
  rotary: Tensor,
  batch: readonly ScoredSequence[],
  alternatives: number,
): Pieces<Scores[]> {
  const targets = batch.map(({ tokens, mask }) => ({ tokens, wanted: mask }));
  const { logprobs, entropies, hidden, places } = yield* passByLayer(weights, rotary, targets);
  const scores = batch.map((_, i): Scores => ({ logprobs: logprobs[i], entropies: entropies[i] }));
  if (alternatives === 0) return scores;
  const best = yield* mostProbable(hidden, weights.head, Math.min(alternatives, weights.config.vocabSize));
  const { each } = best;
  let next = 0;
  for (const [i, { tokens, mask }] of batch.entries()) {
    const size = tokens.length * each;
    const told: Alternatives = { each, tokens: new Int32Array(size), logprobs: new Float32Array(size) };
    for (let t = 1; t < tokens.length; t++) {
      if (mask[t] === 0) continue;
      const from = places[next++] * each;
      told.tokens.set(best.tokens.subarray(from, from + each), t * each);
      told.logprobs.set(best.logprobs.subarray(from, from + each), t * each);
    }
    scores[i].alternatives = told;
  }
  return scores;
}
