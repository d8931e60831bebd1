/** An expert's trajectory as tokens; `mask` is 1 on what the expert said, 0 on prompt and observations. */
export interface DemonstrationTokens {
  tokens: number[];
  mask: Uint8Array;
}

/** Supervised fine-tuning: cross-entropy learns the expert's own tokens alone; the end beyond `maxTokens` is cut off. */
export function sft({ tokens, mask }: DemonstrationTokens, maxTokens = Number.POSITIVE_INFINITY): DemonstrationTokens {
  return { tokens: tokens.slice(0, maxTokens), mask: mask.slice(0, maxTokens) };
}
