import { grpo } from './grpo.ts';
import { naiveOpd, opd } from './opd.ts';
import { opsdGt, opsdHint } from './opsd.ts';
import { sod } from './sod.ts';

/** Every method that learns from its own attempts, by the name that recipes use. */
export const methods = {
  grpo,
  opd,
  'naive-opd': naiveOpd,
  'opsd-gt': opsdGt,
  'opsd-hint': opsdHint,
  sod,
};
