import { UserError } from '../../errors.ts';
import type { Weights } from '../../model/weights.ts';
import { adamw, globalNorm } from '../../tensor/ops.ts';
import type { Pieces } from '../../tensor/pieces.ts';
import { Tape } from '../../tensor/tape.ts';
import { scope, type Tensor } from '../../tensor/tensor.ts';
import { sequenceLoss } from '../losses.ts';
import type { AdamParams, Datum, LossOutput, LossSpec } from '../types.ts';
import { microBatches, pass } from './pass.ts';

/**
 * Adds the gradient of the loss over all of `data` to the weights' gradients, in micro-batches of about `rowsPerPass`
 * packed rows that add up to the whole: a piece each.
 * @param keptRows see `passByLayer`
 */
export function* forwardBackward(
  weights: Weights,
  rotary: Tensor,
  data: readonly Datum[],
  loss: LossSpec,
  rowsPerPass: number,
  keptRows?: number,
): Pieces<LossOutput> {
  const output: LossOutput = { loss: 0, tokens: 0, logprobs: [], metrics: {} };
  const sums: Record<string, number> = { entropy: 0 };
  for (const batch of microBatches(data, rowsPerPass)) {
    scope(() => {
      const targets = batch.map(({ tokens, weights }) => ({ tokens, wanted: weights }));
      const { logprobs, entropies, backward } = pass(weights, rotary, targets, new Tape(), keptRows);
      const gradients = batch.map((datum, i) => {
        const part = sequenceLoss(datum, logprobs[i], loss);
        output.loss += part.loss;
        output.tokens += part.tokens;
        for (const [name, sum] of Object.entries(part.metricSums)) sums[name] = (sums[name] ?? 0) + sum;
        return part.gradient;
      });
      for (const entropy of entropies) sums.entropy += entropy.reduce((a, b) => a + b, 0);
      backward(gradients);
      output.logprobs.push(...logprobs);
    });
    yield;
  }
  for (const [name, sum] of Object.entries(sums)) output.metrics[name] = sum / Math.max(output.tokens, 1);
  return output;
}

/** Clips to the global norm, makes update number `step`, clears the gradients and packs the new weights. */
export function update(weights: Weights, step: number, adam: AdamParams): { gradNorm: number } {
  const training = weights.training!;
  const gradNorm = globalNorm(training.gradients);
  if (!Number.isFinite(gradNorm)) {
    throw new UserError(
      `update ${step}: the gradient is not finite (norm ${gradNorm}); a smaller learning rate may help`,
    );
  }
  // The tiny addend is PyTorch's, so that the same update comes out.
  const gradScale = adam.clipNorm > 0 ? Math.min(1, adam.clipNorm / (gradNorm + 1e-6)) : 1;
  adamw(training, step, { ...adam, gradScale });
  training.renew();
  return { gradNorm };
}
