/** What an iteration reports of what happened in it: nothing here changes what is learned. */
import type { Trajectory } from '../agent/trajectory.ts';
import type { Scores } from '../engine/types.ts';
import { aroundErrors, distillationDiagnostics, rolloutDiagnostics } from '../methods/diagnostics.ts';
import type { StepWeighting } from '../methods/method.ts';
import { summarize, type UpdateMetrics } from './update.ts';

/** All trajectories of an iteration; where a teacher scored them, its scores and the weights of their steps, one for each. */
export interface IterationOutcome {
  trajectories: Trajectory[];
  scores?: Scores[];
  steps: StepWeighting[];
  /** Of the step weights that the patterns of trajectories go by. */
  epsilon: number;
}

export function iterationMetrics(updates: readonly UpdateMetrics[], outcome: IterationOutcome) {
  const { trajectories, scores } = outcome;
  return {
    ...summarize(updates),
    ...rolloutDiagnostics(trajectories),
    ...(scores && distillationMetrics(scores, outcome)),
    rolloutTokens: trajectories.reduce((sum, { mask }) => sum + count(mask), 0),
  };
}

/** What teachers thought of trajectories, and what that made their steps count. */
export function distillationMetrics(
  scores: Scores[],
  { trajectories, steps, epsilon }: Omit<IterationOutcome, 'scores'>,
) {
  const teacherLogprobs = scores.map(({ logprobs }) => logprobs);
  const entropies = scores.map(({ entropies }) => entropies);
  return {
    ...distillationDiagnostics(trajectories, teacherLogprobs, steps, epsilon),
    teacherEntropy: teacherEntropy(trajectories, scores),
    aroundError: aroundErrors(trajectories, steps, entropies),
  };
}

/** Mean over the sampled tokens, in nats; undefined where the engine cannot tell. */
function teacherEntropy(trajectories: Trajectory[], scores: Scores[]): number | undefined {
  let sum = 0;
  let tokens = 0;
  for (const [i, { mask }] of trajectories.entries()) {
    const { entropies } = scores[i];
    if (!entropies) return undefined;
    for (let t = 0; t < mask.length; t++) sum += mask[t] * entropies[t];
    tokens += count(mask);
  }
  return sum / tokens;
}

function count(mask: Uint8Array): number {
  return mask.reduce((sum, sampled) => sum + sampled, 0);
}
