import type { Trajectory } from '../agent/trajectory.ts';
import { lastBoxed } from '../rewards/math.ts';
import type { Place } from './sampling.ts';

/** One line of an evaluation's journal: a trajectory as people read it, and all that the figures are made from. */
export interface Sample extends Place {
  /** Of the task. */
  id: string;
  correct: boolean;
  score: number;
  /** What the last box holds; absent where there is none, or a limit ended the trajectory. */
  answer?: string;
  end: Trajectory['end'];
  /** After the prompt, sampled and observed. */
  tokens: number;
  /** Calls that were answered, and those of them that failed. */
  calls: number;
  failedCalls: number;
  steps: { text: string; observation?: string; error?: string }[];
}

export function sampleOf(place: Place, trajectory: Trajectory): Sample {
  const { taskId: id, correct, reward: score, end, tokens, promptTokens, steps } = trajectory;
  const calls = steps.filter(({ observation }) => observation !== undefined);
  return {
    ...place,
    id,
    correct,
    score,
    answer: end === 'answer' ? lastBoxed(steps[steps.length - 1].text) : undefined,
    end,
    tokens: tokens.length - promptTokens,
    calls: calls.length,
    failedCalls: calls.filter(({ error }) => error !== undefined).length,
    steps: steps.map(({ text, observation, error }) => ({ text, observation, error })),
  };
}
