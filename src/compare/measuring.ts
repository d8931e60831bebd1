import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { localCheckpoint } from '../checkpoint/reference.ts';
import { UserError } from '../errors.ts';
import type { Evaluation, EvaluationControl, EvaluationSettings } from '../eval/evaluate.ts';
import { evaluateCheckpoint } from '../eval/evaluateCheckpoint.ts';
import { keepEvaluations, worldEvaluation } from '../eval/keptEvaluations.ts';
import { writeFileWhole } from '../files.ts';
import { datasetsOf, type Recipe } from '../train/recipe.ts';
import { refuseServers } from '../train/refuseServers.ts';
import { onDevice, startEngine } from '../train/runEngine.ts';
import type { TrainOptions } from '../train/train.ts';
import { type OpenWorld, openWorld } from '../worlds/open.ts';
import type { Plan } from './plan.ts';

/** Measures models in the world that the methods are trained in; what was measured once is read again. */
export class Measuring {
  readonly #recipe: Recipe;
  /** From the first measurement on: a world's tools need memory that training can use. */
  #opened?: OpenWorld;

  private constructor(recipe: Recipe) {
    this.#recipe = recipe;
  }

  /** @throws UserError where the methods learn from a dataset, which has no held-out tasks, or their servers may not be started. */
  static async of(plan: Plan, { allowMcp, device }: Pick<TrainOptions, 'allowMcp' | 'device'>): Promise<Measuring> {
    const recipe = await plan.recipe(plan.methods[0].name, plan.seeds[0]);
    if (datasetsOf(recipe).length > 0) {
      throw new UserError(
        'a comparison measures models in the world of its recipe, which names a dataset: give world there',
      );
    }
    refuseServers(recipe, allowMcp);
    return new Measuring(onDevice(recipe, device));
  }

  /**
   * The measurement in `file`, made first where it is missing, damaged or was made with other settings.
   * @param checkpoint a folder, GGUF file, or `hf:` and a name on the Hub
   */
  async evaluation(
    checkpoint: string,
    settings: EvaluationSettings,
    file: string,
    control: EvaluationControl,
  ): Promise<Evaluation> {
    const kept = readMeasurement(file);
    const asked = { ...settings, ...(this.#recipe.thinking === 'on' && { thinking: true }) };
    if (kept && isDeepStrictEqual(kept.settings, asked)) return kept.evaluation;
    const model = await localCheckpoint(checkpoint, { signal: control.signal });
    const { tool, mcp } = this.#recipe;
    this.#opened ??= await openWorld(this.#recipe.world, { tool, mcp });
    const engine = await startEngine(this.#recipe);
    try {
      const evaluation = await evaluateCheckpoint(engine, model, this.#opened.world, asked, control);
      // In the Hub's cache nothing is kept.
      if (model === checkpoint) {
        await keepEvaluations(model, [worldEvaluation(this.#recipe.world, asked, evaluation)]);
      }
      // Last: what is in this file is not measured, and so not kept for the model card, again.
      writeFileWhole(file, `${JSON.stringify({ settings: asked, evaluation })}\n`);
      return evaluation;
    } finally {
      await engine.close();
    }
  }

  async close(): Promise<void> {
    await this.#opened?.close();
  }
}

const fraction = z.number().min(0).max(1);

/** What the table is made from. */
const figures = z.object({
  average: fraction,
  passAtK: fraction,
  majorityAtK: fraction,
  diagnostics: z.object({ toolSuccessRate: fraction, toolTurns: z.number(), responseTokens: z.number() }),
});
const measurementSchema = z.object({
  settings: z.unknown(),
  evaluation: z.custom<Evaluation>(value => figures.safeParse(value).success),
});

/** Undefined where the file is missing or damaged. */
function readMeasurement(file: string): z.infer<typeof measurementSchema> | undefined {
  try {
    return measurementSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}
