import type { RolloutLimits } from '../agent/rollout.ts';
import type { OnPolicyRecipe } from './recipe.ts';

/** The limits of a trajectory, as a recipe says them. */
export function rolloutLimits(rollout: OnPolicyRecipe['rollout']): RolloutLimits {
  return {
    turns: rollout.maxTurns,
    promptTokens: rollout.maxPromptTokens,
    responseTokens: rollout.maxResponseTokens,
    toolTimeoutMs: rollout.toolTimeoutMs,
    toolOutputChars: rollout.toolOutputChars,
  };
}
