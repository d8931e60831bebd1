import { z } from 'zod';
import type { Trajectory } from '../agent/trajectory.ts';
import type { GroupAdvantages, StepWeighting } from './method.ts';
import { outcomeAdvantages, outcomeOptions } from './outcome.ts';
import { type StepRange, stepDivergences, stepRanges } from './stepwise.ts';
import type { StepWeigher } from './weighting.ts';

export const distillationOptions = {
  /** λ: what distillation counts beside the outcome. */
  lambda: z.number().nonnegative().default(1),
  ...outcomeOptions,
};

export interface DistillationOptions {
  /** λ. Default 1. */
  lambda?: number;
  /** Whether the outcome counts beside distillation. Default true. */
  outcome?: boolean;
  normalizeByStd?: boolean;
}

/**
 * On-policy distillation with weighted steps: A_t = A_outcome + λ · w_k · (log π_teacher − log π_student) on the sampled
 * tokens of step k (SOD, section 4). The methods that distil differ in `weigh`, and in who the teacher is.
 */
export function distill(
  group: readonly Trajectory[],
  teacherLogprobs: readonly Float32Array[] | undefined,
  weigh: StepWeigher,
  { lambda = 1, outcome = true, normalizeByStd }: DistillationOptions = {},
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
    return distillationAdvantages(ranges, scaled, outcomes[i], trajectory.logprobs, teacherLogprobs[i]);
  });
  return { advantages, steps };
}

/** The advantages of one trajectory's tokens, 0 outside the steps. */
export function distillationAdvantages(
  ranges: readonly StepRange[],
  weights: readonly number[],
  outcome: number,
  student: ArrayLike<number>,
  teacher: ArrayLike<number>,
): Float32Array {
  const advantages = new Float32Array(student.length);
  for (const [k, [start, end]] of ranges.entries()) {
    for (let t = start; t < end; t++) advantages[t] = outcome + weights[k] * (teacher[t] - student[t]);
  }
  return advantages;
}
