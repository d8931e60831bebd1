import type { ModelConfig } from './config.ts';

/** Floating-point operations of the model's own products: nothing that an implementation computes besides or twice. */

/**
 * Forward, for `sequences` of `length` tokens each, with the LM head at `targets` positions altogether; nothing but these needs
 * what follows attention in the last layer.
 */
export function forwardFlops(config: ModelConfig, sequences: number, length: number, targets: number): number {
  const { hiddenSize, heads, kvHeads, headDim, intermediateSize, layers, vocabSize } = config;
  const beforeAttention = hiddenSize * headDim * (heads + 2 * kvHeads);
  const behindAttention = hiddenSize * headDim * heads + 3 * hiddenSize * intermediateSize;
  const tokens = sequences * length;
  const products =
    layers * beforeAttention * tokens +
    behindAttention * ((layers - 1) * tokens + targets) +
    vocabSize * hiddenSize * targets;
  const seen = (sequences * (length * (length + 1))) / 2;
  return 2 * products + layers * 2 * 2 * heads * headDim * seen;
}

/**
 * Forward and backward: each product has two more for its gradients, or one where its weight is not trained; what adapters take
 * beside them is left out.
 */
export function trainingFlops(
  config: ModelConfig,
  sequences: number,
  length: number,
  targets: number,
  trainsAll = true,
): number {
  return (trainsAll ? 3 : 2) * forwardFlops(config, sequences, length, targets);
}
