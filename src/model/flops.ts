import type { ModelConfig } from './config.ts';

/** Floating-point operations of the model's own products: nothing that an implementation computes besides or twice. */

/** Forward, for `sequences` of `length` tokens each, with the LM head at `targets` positions altogether. */
export function forwardFlops(config: ModelConfig, sequences: number, length: number, targets: number): number {
  const { hiddenSize, heads, kvHeads, headDim, intermediateSize, layers, vocabSize } = config;
  const weights = hiddenSize * headDim * (2 * heads + 2 * kvHeads) + 3 * hiddenSize * intermediateSize;
  const seen = (length * (length + 1)) / 2;
  const attention = 2 * 2 * heads * headDim * seen;
  return layers * (2 * weights * sequences * length + attention * sequences) + 2 * vocabSize * hiddenSize * targets;
}

/** Forward and backward: each product has two more for its gradients. */
export function trainingFlops(config: ModelConfig, sequences: number, length: number, targets: number): number {
  return 3 * forwardFlops(config, sequences, length, targets);
}
