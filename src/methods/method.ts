import type { Trajectory } from '../agent/trajectory.ts';

/** How one trajectory's distillation is weighted, by step. */
export interface StepWeighting {
  /** d_k: how far student and teacher are apart in the step. */
  divergence: number[];
  /** w_k: how much the step's distillation counts. */
  weight: number[];
}

export interface GroupAdvantages {
  /** One array for each trajectory, as long as its tokens; 0 on tokens that were not sampled. */
  advantages: Float32Array[];
  /** One for each trajectory, by the methods that distil. */
  steps?: StepWeighting[];
}

/** What tells the methods apart: which advantage each sampled token gets. All else of a training step is the same. */
export interface Method {
  name: string;
  /** Whether `advantages` needs the teacher's log-probabilities of the sampled tokens. */
  needsTeacher: boolean;
  /**
   * Token advantages of `group`, the trajectories sampled from one prompt.
   * `teacherLogprobs`: one array for each trajectory, aligned with its tokens.
   */
  advantages(group: readonly Trajectory[], teacherLogprobs?: readonly Float32Array[]): GroupAdvantages;
}
