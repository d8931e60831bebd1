import { z } from 'zod';
import { distill, distillationOptions } from './distillation.ts';
import { defineMethod } from './method.ts';
import { decayAfterError, stepwise, uniform } from './weighting.ts';

/**
 * Step-wise on-policy distillation: steps count less the further the student has drifted from where the teacher can help
 * (arXiv 2605.07725, section 4). Its ablations are options: another weighting, no upper clip, no outcome.
 */
export const sod = defineMethod({
  name: 'sod',
  teacher: 'model',
  options: {
    /** decay and mask go by the first failed tool call instead of the divergence. */
    weighting: z.enum(['stepwise', 'uniform', 'decay', 'mask']).default('stepwise'),
    /** ε: divergences below it tell nothing. */
    epsilon: z.number().positive().default(1e-6),
    /** δ: no weight exceeds 1 + δ. */
    delta: z.union([z.number().nonnegative(), z.literal('none')], 'expected a number >=0, or none').default(0.2),
    /** What each step behind the first failed call counts less, where the weighting is decay. */
    decay: z.number().min(0).max(1).default(0.9),
    /** Whether the outcome counts beside distillation. */
    outcome: z.boolean().default(true),
    ...distillationOptions,
  },
  advantages({ weighting, epsilon, delta, decay, ...options }) {
    const weigh = {
      stepwise: stepwise({ epsilon, delta: delta === 'none' ? Number.POSITIVE_INFINITY : delta }),
      uniform,
      decay: decayAfterError(decay),
      mask: decayAfterError(0),
    }[weighting];
    return (group, teacher) => distill(group, teacher, weigh, options);
  },
});
