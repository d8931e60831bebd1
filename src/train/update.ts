import type { Datum, LossOutput, LossSpec, Trainer } from '../engine/types.ts';
import type { Recipe } from './recipe.ts';
import { learningRateAt } from './schedule.ts';

export interface UpdateMetrics {
  loss: number;
  gradNorm: number;
  learningRate: number;
  /** Tokens that were learned from. */
  tokens: number;
  /** Of the policy, in nats a token. */
  entropy: number;
  [metric: string]: number;
}

/** One update of the weights, the `index`-th of `total`, from one mini-batch. */
export async function update(
  trainer: Trainer,
  batch: Datum[],
  loss: LossSpec,
  optimizer: Recipe['optimizer'],
  index: number,
  total: number,
  onOutput?: (output: LossOutput) => void,
): Promise<UpdateMetrics> {
  const { betas, epsilon, weightDecay, clipNorm } = optimizer;
  const learningRate = learningRateAt(optimizer, index, total);
  // Both at once: an engine elsewhere may work in cycles, and should not wait a whole one for the second.
  const [output, { gradNorm }] = await Promise.all([
    trainer.forwardBackward(batch, loss),
    trainer.optimStep({ learningRate, betas, epsilon, weightDecay, clipNorm }),
  ]);
  onOutput?.(output);
  return {
    ...output.metrics,
    entropy: output.metrics.entropy,
    loss: output.loss,
    tokens: output.tokens,
    gradNorm,
    learningRate,
  };
}

/** What an iteration's updates have in common: sums of tokens, means of all else. */
export function summarize(updates: readonly UpdateMetrics[]): UpdateMetrics {
  const sum = (name: string) => updates.reduce((total, metrics) => total + metrics[name], 0);
  const names = Object.keys(updates[0]);
  const summary = Object.fromEntries(names.map(name => [name, sum(name) / updates.length]));
  return { ...(summary as UpdateMetrics), tokens: sum('tokens') };
}
