/** How much each step of a trajectory counts: all that sets SOD, OPD and SOD's ablations apart. */
import type { Trajectory } from '../agent/trajectory.ts';
import { type StepWeightOptions, stepWeights } from './stepwise.ts';

/** The weights of a trajectory's steps, of which `divergence` is the student's distance from the teacher. */
export type StepWeigher = (divergence: number[], trajectory: Trajectory) => number[];

/** Every step counts the same. */
export const uniform: StepWeigher = divergence => divergence.map(() => 1);

/** Steps count less the further the student has drifted from where the teacher can help. */
export function stepwise(options: StepWeightOptions): StepWeigher {
  return divergence => stepWeights(divergence, options);
}

/** w_k = factor^(k − k_err) behind step k_err, whose tool call is the first that failed; a factor of 0 masks what comes behind. */
export function decayAfterError(factor: number): StepWeigher {
  return (divergence, { steps }) => {
    const failed = steps.findIndex(({ error }) => error !== undefined);
    return divergence.map((_, k) => (failed < 0 || k <= failed ? 1 : factor ** (k - failed)));
  };
}
