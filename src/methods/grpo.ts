import type { Method } from './method.ts';
import { type OutcomeOptions, outcomeAdvantages } from './outcome.ts';

/** Group-relative policy optimization: every sampled token gets its trajectory's outcome advantage (Shao et al. 2024). */
export function grpo(options: OutcomeOptions = {}): Method {
  return {
    name: 'grpo',
    needsTeacher: false,
    advantages(group) {
      const outcomes = outcomeAdvantages(
        group.map(trajectory => trajectory.reward),
        options,
      );
      return {
        advantages: group.map(({ mask }, i) => Float32Array.from(mask, sampled => (sampled ? outcomes[i] : 0))),
      };
    },
  };
}
