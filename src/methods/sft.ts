/** An expert's trajectory as tokens; `mask` is 1 on what the expert said, 0 on prompt and observations. */
export interface DemonstrationTokens {
  tokens: number[];
  mask: Uint8Array;
}

/** Supervised fine-tuning: what cross-entropy learns from, the expert's own tokens alone; the end beyond `maxTokens` is cut off. */
export function sft({ tokens, mask }: DemonstrationTokens, maxTokens = Number.POSITIVE_INFINITY) {
  return { tokens: tokens.slice(0, maxTokens), weights: Float32Array.from(mask.subarray(0, maxTokens)) };
}
