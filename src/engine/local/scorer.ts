import type { Weights } from '../../model/weights.ts';
import { scope, type Tensor } from '../../tensor/tensor.ts';
import type { ScoredSequence, Scores } from '../types.ts';
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
