import type { Weights } from '../../model/weights.ts';
import type { Pieces } from '../../tensor/pieces.ts';
import { scopeInPieces, type Tensor } from '../../tensor/tensor.ts';
import type { ScoredSequence, Scores } from '../types.ts';
import { microBatches, passByLayer } from './pass.ts';

/** Log-probabilities and entropies of the sequences' masked tokens, in passes of about `rowsPerPass` packed rows: a layer a piece. */
export function* score(
  weights: Weights,
  rotary: Tensor,
  sequences: readonly ScoredSequence[],
  rowsPerPass: number,
): Pieces<Scores[]> {
  const scores: Scores[] = [];
  for (const batch of microBatches(sequences, rowsPerPass)) {
    const targets = batch.map(({ tokens, mask }) => ({ tokens, wanted: mask }));
    const { logprobs, entropies } = yield* scopeInPieces(passByLayer(weights, rotary, targets));
    scores.push(...batch.map((_, i) => ({ logprobs: logprobs[i], entropies: entropies[i] })));
  }
  return scores;
}
