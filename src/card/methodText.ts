import { basename } from 'node:path';
import { isMethodModule } from '../methods/module.ts';
import type { Recipe } from '../train/recipe.ts';
import { cell } from './markdown.ts';

type MethodName = Recipe['method'];

const titles: Record<string, string> = {
  sft: 'Supervised fine-tuning (SFT)',
  grpo: 'GRPO: group-relative policy optimization, by outcomes alone',
  opd: 'OPD: on-policy distillation beside the outcome, every step counting the same',
  'naive-opd': 'On-policy distillation alone, every step counting the same',
  'opsd-gt': 'On-policy self-distillation from the model before this stage, shown the answer',
  'opsd-hint': 'On-policy self-distillation from the model before this stage, shown a hint',
  sod: 'SOD: step-wise on-policy distillation',
};

/** A method in a few words. */
export function methodTitle(method: MethodName): string {
  return isMethodModule(method) ? `A method of its own (${cell(basename(method))})` : titles[method];
}

/** A method in one word, as tables and rows of methods name it. */
export function methodLabel(method: MethodName): string {
  return isMethodModule(method) ? cell(basename(method)) : method.toUpperCase();
}
