import { distill, distillationOptions } from './distillation.ts';
import { defineMethod, type Teacher } from './method.ts';
import { uniform } from './weighting.ts';

/**
 * On-policy self-distillation: as opd, but the teacher is the model that the training started from, told more than the
 * student: the answer, or a hint (the two self-distillations that SOD is compared with, section 5).
 */
const selfDistillation = (name: string, teacher: Teacher) =>
  defineMethod({
    name,
    teacher,
    options: distillationOptions,
    advantages: options => (group, teacher) => distill(group, teacher, uniform, options),
  });

export const opsdGt = selfDistillation('opsd-gt', 'self-with-answer');
export const opsdHint = selfDistillation('opsd-hint', 'self-with-hint');
