import { defineMethod } from './method.ts';
import { outcomeAdvantages, outcomeOptions } from './outcome.ts';

/** Group-relative policy optimization: every sampled token gets its trajectory's outcome advantage (Shao et al. 2024). */
export const grpo = defineMethod({
  name: 'grpo',
  options: outcomeOptions,
  advantages: options => group => {
    const rewards = group.map(({ reward }) => reward);
    const outcomes = outcomeAdvantages(rewards, options);
    return { advantages: group.map(({ mask }, i) => Float32Array.from(mask, sampled => (sampled ? outcomes[i] : 0))) };
  },
});
