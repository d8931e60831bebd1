/** How the losses of tokens make the loss of a batch: a mean over all tokens, or over sequences of means or sums of theirs. */
export const aggregations = ['token-mean', 'seq-mean-token-mean', 'seq-mean-token-sum'] as const;
export type Aggregation = (typeof aggregations)[number];

/**
 * By how much each token's loss counts in the loss of its batch, which is then their plain sum: every engine adds up the same
 * numbers, however it cuts the batch. Sequences in which nothing is learned do not count.
 * @param masks [sequences][tokens], 0 where nothing is learned, else 1 (or what the token counts beside the others)
 * @returns [sequences][tokens]
 */
export function lossWeights(
  masks: readonly ArrayLike<number>[],
  aggregation: Aggregation = 'token-mean',
): Float32Array[] {
  const lengths = masks.map(learned);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const sequences = lengths.filter(length => length > 0).length;
  const scaleOf = {
    'token-mean': () => 1 / tokens,
    'seq-mean-token-mean': (length: number) => 1 / (sequences * length),
    'seq-mean-token-sum': () => 1 / sequences,
  }[aggregation];
  return masks.map((mask, i) => {
    const scale = scaleOf(lengths[i]);
    return Float32Array.from(mask, counts => (counts === 0 ? 0 : counts * scale));
  });
}

function learned(mask: ArrayLike<number>): number {
  let count = 0;
  for (let t = 0; t < mask.length; t++) if (mask[t] !== 0) count++;
  return count;
}
