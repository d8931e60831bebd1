import { stringify } from 'yaml';
import type { Trajectory } from '../agent/trajectory.ts';
import { type Pattern, patternOf } from '../methods/diagnostics.ts';
import type { StepWeighting } from '../methods/method.ts';
import { stepWeights } from '../methods/stepwise.ts';
import type { Chat } from '../text/chat.ts';

/** A trajectory as people read it, in `trajectories/*.yaml` and in reports. */
export interface SampledTrajectory {
  task: string;
  reward: number;
  correct: boolean;
  end: Trajectory['end'];
  /** By what SOD's step weights would be; absent where no teacher scored the trajectory. */
  pattern?: Pattern;
  steps: SampledStep[];
  prompt: string;
}

export interface SampledStep {
  /** d_k and w_k, where a teacher scored the trajectory. */
  divergence?: number;
  weight?: number;
  text: string;
  observation?: string;
  error?: string;
}

/** How many trajectories of each pattern a sample shows. */
const shownOfEach = 2;

/** Some trajectories of an iteration: the first of each pattern, the rarest pattern (recovery) first. */
export function sampleTrajectories(
  trajectories: readonly Trajectory[],
  weightings: readonly StepWeighting[] | undefined,
  chat: Chat,
): SampledTrajectory[] {
  const all = trajectories.map((trajectory, i) => readable(trajectory, weightings?.[i], chat));
  const patterns: (Pattern | undefined)[] = ['recovery', 'erroneous', 'stable', undefined];
  return patterns.flatMap(pattern => all.filter(sample => sample.pattern === pattern).slice(0, shownOfEach));
}

function readable(trajectory: Trajectory, weighting: StepWeighting | undefined, chat: Chat): SampledTrajectory {
  return {
    task: trajectory.taskId,
    reward: trajectory.reward,
    correct: trajectory.correct,
    end: trajectory.end,
    pattern: weighting && patternOf(stepWeights(weighting.divergence)),
    steps: trajectory.steps.map(({ text, observation, error }, k) => ({
      divergence: weighting?.divergence[k],
      weight: weighting?.weight[k],
      text,
      observation,
      error,
    })),
    prompt: chat.decode(trajectory.tokens.slice(0, trajectory.promptTokens)),
  };
}

/** As YAML: texts in blocks, to be read as they were said. */
export function formatTrajectories(samples: readonly SampledTrajectory[]): string {
  return stringify(samples, { blockQuote: 'literal', lineWidth: 0 });
}
