import type { Trajectory } from '../agent/trajectory.ts';

/** Best score that a wrong answer can have. */
const WRONG_CEILING = -0.6;

/**
 * What wrong answers are worth: by the paper's text, where turns count; as its released program has it, which never sees the
 * turns, so that all are worth −1.1; or as they are.
 */
export const shapings = ['text', 'code', 'off'] as const;
export type Shaping = (typeof shapings)[number];

/** Using tools is worth a little even where the answer is wrong: 0.1 for each call with its observation, up to a ceiling. */
export function shapedScore(score: number, turns: number): number {
  return score < 0 ? Math.min(WRONG_CEILING, score + (0.1 * (turns - 2)) / 2) : score;
}

/** Turns of the dialogue: the prompt's, the policy's and the observations. */
export function dialogueTurns({ steps }: Pick<Trajectory, 'steps'>): number {
  return 1 + steps.length + steps.filter(step => step.observation !== undefined).length;
}
