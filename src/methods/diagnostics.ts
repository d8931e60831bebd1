/** What training steps report of their trajectories: nothing here changes what is learned. */
import type { Trajectory } from '../agent/trajectory.ts';
import type { StepWeighting } from './method.ts';
import { stepRanges, stepWeights } from './stepwise.ts';

/** stable: never far from the start; erroneous: drifted away and stayed; recovery: drifted away and returned. */
export type Pattern = 'stable' | 'erroneous' | 'recovery';

/** How far below 1 a step weight still counts as near the start: as far as the upper bound 1 + δ lies above. */
export const NEAR_START = 0.8;

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

/** Where a step stands to the first tool call of its trajectory that failed, which is still before; untouched if none did. */
export type Place = 'untouched' | 'before' | 'after';

export interface AroundError {
  steps: number;
  /** Mean d_k; undefined where there are no steps. */
  divergence?: number;
  /** Mean over steps of the teacher's mean entropy in the step, in nats, where the engine can tell. */
  teacherEntropy?: number;
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

/**
 * `teacherLogprobs` and `steps`: one for each trajectory, as for and from `Method.advantages`.
 * @param epsilon of the step weights that the patterns go by
 */
export function distillationDiagnostics(
  trajectories: readonly Trajectory[],
  teacherLogprobs: readonly Float32Array[],
  steps: readonly StepWeighting[],
  epsilon?: number,
): DistillationDiagnostics {
  const patterns: Record<Pattern, number> = { stable: 0, erroneous: 0, recovery: 0 };
  for (const { divergence } of steps) patterns[patternOf(stepWeights(divergence, { epsilon }))] += 1 / steps.length;

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

/** How sure the teacher is, and how far the student from it, before and after a tool error. All arrays: one for each trajectory. */
export function aroundErrors(
  trajectories: readonly Trajectory[],
  steps: readonly StepWeighting[],
  teacherEntropies: readonly (Float32Array | undefined)[],
): Record<Place, AroundError> {
  const places: Record<Place, { divergence: number[]; entropy: number[] }> = {
    untouched: { divergence: [], entropy: [] },
    before: { divergence: [], entropy: [] },
    after: { divergence: [], entropy: [] },
  };
  for (const [i, trajectory] of trajectories.entries()) {
    const failed = trajectory.steps.findIndex(({ error }) => error !== undefined);
    for (const [k, [start, end]] of stepRanges(trajectory.mask).entries()) {
      const place = places[failed < 0 ? 'untouched' : k <= failed ? 'before' : 'after'];
      place.divergence.push(steps[i].divergence[k]);
      const entropies = teacherEntropies[i]?.subarray(start, end);
      if (entropies) place.entropy.push(mean(entropies));
    }
  }
  const summary = ({ divergence, entropy }: (typeof places)[Place]): AroundError => ({
    steps: divergence.length,
    ...(divergence.length > 0 && { divergence: mean(divergence) }),
    ...(entropy.length > 0 && { teacherEntropy: mean(entropy) }),
  });
  return {
    untouched: summary(places.untouched),
    before: summary(places.before),
    after: summary(places.after),
  };
}

function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum / values.length;
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
  const over = (value: (trajectory: Trajectory) => number) => mean(trajectories.map(value));
  const toolSteps = trajectories.flatMap(({ steps }) => steps.filter(step => step.observation !== undefined));
  const succeeded = toolSteps.filter(step => step.error === undefined).length;
  return {
    reward: over(t => t.reward),
    accuracy: over(t => (t.correct ? 1 : 0)),
    toolTurns: toolSteps.length / trajectories.length,
    toolSuccessRate: toolSteps.length === 0 ? 1 : succeeded / toolSteps.length,
    responseTokens: over(t => t.tokens.length - t.promptTokens),
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
    mean: mean(values),
    p10: quantile(0.1),
    median: quantile(0.5),
    p90: quantile(0.9),
  };
}
