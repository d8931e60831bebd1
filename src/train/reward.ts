import type { Trajectory } from '../agent/trajectory.ts';
import { overlongPenalty } from '../rewards/overlong.ts';
import { dialogueTurns, shapedScore } from '../rewards/shaping.ts';
import type { OnPolicyRecipe } from './recipe.ts';

/** The outcome as the policy is taught it: the world's score, shaped where it is wrong, less what it is too long. */
export function rewardOf({ reward, rollout }: OnPolicyRecipe, trajectory: Trajectory, score: number): number {
  const turns = reward.shaping === 'text' ? dialogueTurns(trajectory) : 0;
  const shaped = reward.shaping === 'off' ? score : shapedScore(score, turns);
  if (reward.overlongBuffer === 0) return shaped;
  const length = trajectory.tokens.length - trajectory.promptTokens;
  return shaped + overlongPenalty(length, rollout.maxResponseTokens, reward.overlongBuffer);
}
