import { type DistillationOptions, distillation } from './distillation.ts';
import type { Method } from './method.ts';

/** On-policy distillation: every step counts the same. */
export function opd(options: DistillationOptions = {}): Method {
  return distillation('opd', divergence => divergence.map(() => 1), options);
}
