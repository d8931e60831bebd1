import { distill, distillationOptions } from './distillation.ts';
import { defineMethod } from './method.ts';
import { uniform } from './weighting.ts';

/** On-policy distillation (Agarwal et al. 2024) with the outcome beside it: every step counts the same. */
export const opd = defineMethod({
  name: 'opd',
  teacher: 'model',
  options: distillationOptions,
  advantages: options => (group, teacher) => distill(group, teacher, uniform, options),
});

/** On-policy distillation alone: the outcome does not count. */
export const naiveOpd = defineMethod({
  name: 'naive-opd',
  teacher: 'model',
  options: { lambda: distillationOptions.lambda, maxLogRatio: distillationOptions.maxLogRatio },
  advantages: options => (group, teacher) => distill(group, teacher, uniform, { ...options, outcome: false }),
});
