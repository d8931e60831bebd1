import { z } from 'zod';
import type { Trajectory } from '../agent/trajectory.ts';
import { lastBoxed } from '../rewards/math.ts';
import { type Place, placeSchema } from './sampling.ts';

const count = z.int().nonnegative();

/** One line of an evaluation's journal: a trajectory as people read it, and all that the figures are made from. */
export const sampleSchema = placeSchema.extend({
  /** Of the task. */
  id: z.string(),
  correct: z.boolean(),
  score: z.number(),
  /** What the last box holds; absent where there is none, or a limit ended the trajectory. */
  answer: z.string().optional(),
  end: z.enum(['answer', 'turns', 'tokens'] satisfies Trajectory['end'][]),
  /** After the prompt, sampled and observed. */
  tokens: count,
  /** Calls that were answered, and those of them that failed. */
  calls: count,
  failedCalls: count,
  steps: z.array(z.object({ text: z.string(), observation: z.string().optional(), error: z.string().optional() })),
});
export type Sample = z.infer<typeof sampleSchema>;

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
