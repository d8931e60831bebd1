/** Steps of a trajectory, how far student and teacher are apart in each, and what that makes each step worth (SOD, section 4). */

/** Token range [start, end). */
export type StepRange = [start: number, end: number];

export interface StepWeightOptions {
  /** ε, keeps the ratio of divergences defined. Default 1e-6. */
  epsilon?: number;
  /** δ: no weight exceeds 1 + δ. Default 0.2. */
  delta?: number;
}

/** The maximal runs of sampled tokens: what the policy says between two observations. */
export function stepRanges(mask: ArrayLike<number>): StepRange[] {
  const ranges: StepRange[] = [];
  for (let t = 0; t < mask.length; t++) {
    if (mask[t] === 0) continue;
    if (t === 0 || mask[t - 1] === 0) ranges.push([t, t]);
    ranges[ranges.length - 1][1] = t + 1;
  }
  return ranges;
}

/** d_k: mean over the tokens of step k of |log π_student − log π_teacher|. */
export function stepDivergences(
  steps: readonly StepRange[],
  student: ArrayLike<number>,
  teacher: ArrayLike<number>,
): number[] {
  return steps.map(([start, end]) => {
    let sum = 0;
    for (let t = start; t < end; t++) sum += Math.abs(student[t] - teacher[t]);
    return sum / (end - start);
  });
}

/**
 * w_1 = 1 and w_k = min(Π_{u<k} (d_u + ε) / (d_{u+1} + ε), 1 + δ). The product telescopes to (d_1 + ε) / (d_k + ε):
 * every step is measured against where the trajectory began, so that a later recovery counts fully.
 */
export function stepWeights(
  divergence: readonly number[],
  { epsilon = 1e-6, delta = 0.2 }: StepWeightOptions = {},
): number[] {
  return divergence.map((d, k) => (k === 0 ? 1 : Math.min((divergence[0] + epsilon) / (d + epsilon), 1 + delta)));
}
