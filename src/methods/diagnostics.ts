/** What training steps report of their trajectories: nothing here changes what is learned. */
import type { Trajectory } from '../agent/trajectory.ts';
import type { StepWeighting } from './method.ts';
import { stepWeights } from './stepwise.ts';

/** stable: never far from the start; erroneous: drifted away and stayed; recovery: drifted away and returned. */
export type Pattern = 'stable' | 'erroneous' | 'recovery';

/** How far below 1 a step weight still counts as near the start: as far as the upper bound 1 + δ lies above. */
const NEAR_START = 0.8;

/** The pattern of a trajectory with these step weights (SOD's, whatever the method that is trained). */
export function patternOf(weights: readonly number[]): Pattern {
  if (weights.every(w => w >= NEAR_START)) return 'stable';
  return weights[weights.length - 1] >= NEAR_START ? 'recovery' : 'erroneous';
}

export interface Distribution {
  count: number;
  mean: number;
  p10: number;
  median: number;
  p90: number;
}

export interface DistillationDiagnostics {
  /** Share of trajectories with each pattern, by what SOD's weights would be. */
  patterns: Record<Pattern, number>;
  /** Entry k describes step k + 1 over the trajectories that have it. */
  divergenceByStep: Distribution[];
  /** As the method weighted the steps. */
  weightByStep: Distribution[];
  /** Mean over sampled tokens of log π_student − log π_teacher: an estimate of KL(student ‖ teacher) in nats per token. */
  reverseKl: number;
}

/** `teacherLogprobs` and `steps`: one for each trajectory, as for and from `Method.advantages`. */
export function distillationDiagnostics(
  trajectories: readonly Trajectory[],
  teacherLogprobs: readonly Float32Array[],
  steps: readonly StepWeighting[],
): DistillationDiagnostics {
  const patterns: Record<Pattern, number> = { stable: 0, erroneous: 0, recovery: 0 };
  for (const { divergence } of steps) patterns[patternOf(stepWeights(divergence))] += 1 / steps.length;

  let tokens = 0;
  let logRatios = 0;
  for (const [i, { mask, logprobs }] of trajectories.entries()) {
    for (let t = 0; t < mask.length; t++) {
      if (mask[t] === 0) continue;
      tokens++;
      logRatios += logprobs[t] - teacherLogprobs[i][t];
    }
  }
  return {
    patterns,
    divergenceByStep: byIndex(steps.map(s => s.divergence)).map(distribution),
    weightByStep: byIndex(steps.map(s => s.weight)).map(distribution),
    reverseKl: logRatios / tokens,
  };
}

export interface RolloutDiagnostics {
  reward: number;
  accuracy: number;
  /** Mean calls, parsed or not, that the environment answered. */
  toolTurns: number;
  /** Share of those that were answered without an error; 1 where there were none. */
  toolSuccessRate: number;
  /** Mean tokens after the prompt, observations included. */
  responseTokens: number;
}

export function rolloutDiagnostics(trajectories: readonly Trajectory[]): RolloutDiagnostics {
  const mean = (value: (trajectory: Trajectory) => number) =>
    trajectories.reduce((sum, trajectory) => sum + value(trajectory), 0) / trajectories.length;
  const toolSteps = trajectories.flatMap(({ steps }) => steps.filter(step => step.observation !== undefined));
  const succeeded = toolSteps.filter(step => step.error === undefined).length;
  return {
    reward: mean(t => t.reward),
    accuracy: mean(t => (t.correct ? 1 : 0)),
    toolTurns: toolSteps.length / trajectories.length,
    toolSuccessRate: toolSteps.length === 0 ? 1 : succeeded / toolSteps.length,
    responseTokens: mean(t => t.tokens.length - t.promptTokens),
  };
}

function byIndex(rows: readonly number[][]): number[][] {
  const length = Math.max(0, ...rows.map(row => row.length));
  return Array.from({ length }, (_, k) => rows.filter(row => row.length > k).map(row => row[k]));
}

function distribution(values: number[]): Distribution {
  const sorted = values.toSorted((a, b) => a - b);
  const quantile = (q: number) => sorted[Math.round(q * (sorted.length - 1))];
  return {
    count: values.length,
    mean: values.reduce((sum, v) => sum + v, 0) / values.length,
    p10: quantile(0.1),
    median: quantile(0.5),
    p90: quantile(0.9),
  };
}
