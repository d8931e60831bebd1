import { type DistillationOptions, distillation } from './distillation.ts';
import type { Method } from './method.ts';
import { type StepWeightOptions, stepWeights } from './stepwise.ts';

/** Step-wise on-policy distillation: steps count less the further the student has drifted from where the teacher can help. */
export function sod(options: DistillationOptions & StepWeightOptions = {}): Method {
  return distillation('sod', divergence => stepWeights(divergence, options), options);
}
