import type { Trajectory } from '../agent/trajectory.ts';
import type { Method, StepWeighting } from './method.ts';
import { type OutcomeOptions, outcomeAdvantages } from './outcome.ts';
import { type StepRange, stepDivergences, stepRanges } from './stepwise.ts';

export interface DistillationOptions extends OutcomeOptions {
  /** λ: what distillation counts beside the outcome. Default 1. */
  lambda?: number;
}

/** The weights of a trajectory's steps, of which `divergence` is the student's distance from the teacher. */
export type StepWeigher = (divergence: number[], trajectory: Trajectory) => number[];

/**
 * On-policy distillation with weighted steps: A_t = A_outcome + λ · w_k · (log π_teacher − log π_student) on the sampled
 * tokens of step k. The methods that distil differ in `weigh` alone.
 */
export function distillation(name: string, weigh: StepWeigher, options: DistillationOptions = {}): Method {
  const { lambda = 1 } = options;
  return {
    name,
    needsTeacher: true,
    advantages(group, teacherLogprobs) {
      if (!teacherLogprobs) throw new Error(`The method ${name} needs the teacher's log-probabilities`);
      const outcomes = outcomeAdvantages(
        group.map(trajectory => trajectory.reward),
        options,
      );
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
    },
  };
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
