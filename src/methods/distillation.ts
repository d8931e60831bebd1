import { z } from 'zod';
import type { Trajectory } from '../agent/trajectory.ts';
import type { GroupAdvantages, StepWeighting } from './method.ts';
import { outcomeAdvantages, outcomeOptions } from './outcome.ts';
import { type StepRange, stepDivergences, stepRanges } from './stepwise.ts';
import type { StepWeigher } from './weighting.ts';

export const distillationOptions = {
  /** λ: what distillation counts beside the outcome. */
  lambda: z.number().nonnegative().default(1),
  /** No token's log-ratio |q − s| counts more than this. */
  maxLogRatio: z.union([z.number().positive(), z.literal('off')], 'expected a number >0, or off').default('off'),
  ...outcomeOptions,
};

export interface DistillationOptions {
  /** λ. Default 1. */
  lambda?: number;
  /** Whether the outcome counts beside distillation. Default true. */
  outcome?: boolean;
  normalizeByStd?: boolean;
  /** Of |log π_teacher − log π_student| a token, in what is learned; the divergence of steps is what it is. Default off. */
  maxLogRatio?: number | 'off';
}

/**
 * On-policy distillation with weighted steps: A_t = A_outcome + λ · w_k · (log π_teacher − log π_student) on the sampled
 * tokens of step k (SOD, section 4). The methods that distil differ in `weigh`, and in who the teacher is.
 */
export function distill(
  group: readonly Trajectory[],
  teacherLogprobs: readonly Float32Array[] | undefined,
  weigh: StepWeigher,
  { lambda = 1, outcome = true, normalizeByStd, maxLogRatio = 'off' }: DistillationOptions = {},
): GroupAdvantages {
  if (!teacherLogprobs) throw new Error("distillation needs the teacher's log-probabilities");
  const rewards = group.map(({ reward }) => reward);
  const outcomes = outcome ? outcomeAdvantages(rewards, { normalizeByStd }) : rewards.map(() => 0);
  const steps: StepWeighting[] = [];
  const advantages = group.map((trajectory, i) => {
    const ranges = stepRanges(trajectory.mask);
    const divergence = stepDivergences(ranges, trajectory.logprobs, teacherLogprobs[i]);
    const weight = weigh(divergence, trajectory);
    steps.push({ divergence, weight });
    const scaled = weight.map(w => lambda * w);
    const most = maxLogRatio === 'off' ? Number.POSITIVE_INFINITY : maxLogRatio;
    return distillationAdvantages(ranges, scaled, outcomes[i], trajectory.logprobs, teacherLogprobs[i], most);
  });
  return { advantages, steps };
}

/** The advantages of one trajectory's tokens, 0 outside the steps. @param most of a token's |q − s| */
export function distillationAdvantages(
  ranges: readonly StepRange[],
  weights: readonly number[],
  outcome: number,
  student: ArrayLike<number>,
  teacher: ArrayLike<number>,
  most = Number.POSITIVE_INFINITY,
): Float32Array {
  const advantages = new Float32Array(student.length);
  for (const [k, [start, end]] of ranges.entries()) {
    for (let t = start; t < end; t++) {
      const logRatio = Math.min(most, Math.max(-most, teacher[t] - student[t]));
      advantages[t] = outcome + weights[k] * logRatio;
    }
  }
  return advantages;
}
