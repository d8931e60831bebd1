import type { Trajectory } from '../agent/trajectory.ts';

/** Best score that a wrong answer can have. */
const WRONG_CEILING = -0.6;

/** Using tools is worth a little even where the answer is wrong: 0.1 for each call with its observation, up to a ceiling. */
export function shapedScore(score: number, turns: number): number {
  return score < 0 ? Math.min(WRONG_CEILING, score + (0.1 * (turns - 2)) / 2) : score;
}

/** Turns of the dialogue: the prompt's, the policy's and the observations. */
export function dialogueTurns({ steps }: Pick<Trajectory, 'steps'>): number {
  return 1 + steps.length + steps.filter(step => step.observation !== undefined).length;
}
