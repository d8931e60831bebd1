import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { evaluationSchema } from '../eval/evaluate.ts';

/**
 * What the demo consists of: the training stages in their order, each a recipe of its own, and which models are
 * compared in the end. A stage starts from a fresh model where its recipe has `init`.
 */
export interface Stage {
  name: string;
  /** Stages whose final model this one starts from or is taught by. */
  model?: string;
  teacher?: string;
}

export const stages: Stage[] = [
  { name: 'teacher-sft' },
  { name: 'teacher-grpo', model: 'teacher-sft' },
  { name: 'student-sft' },
  { name: 'student-opd', model: 'student-sft', teacher: 'teacher-grpo' },
  { name: 'student-sod', model: 'student-sft', teacher: 'teacher-grpo' },
];

/** The models that are compared, by the name they have in the report, with their folder within the demo's. */
export const compared = {
  teacher: 'teacher-grpo/final',
  vanilla: 'student-sft/initial',
  sft: 'student-sft/final',
  opd: 'student-opd/final',
  sod: 'student-sod/final',
};
export type Compared = keyof typeof compared;

export const recipesFolder = fileURLToPath(new URL('../../recipes/demo/', import.meta.url));

const pipelineSchema = z.strictObject({
  eval: evaluationSchema,
  /** What the smoke run changes: in the evaluation, and in each stage's recipe. */
  smoke: z.strictObject({
    eval: evaluationSchema.partial(),
    stages: z.record(z.string(), z.record(z.string(), z.unknown())),
  }),
});
/** `recipes/demo/pipeline.yaml`: what is not part of a single stage's recipe. */
export function readPipeline() {
  return pipelineSchema.parse(parse(readFileSync(join(recipesFolder, 'pipeline.yaml'), 'utf8')));
}
