import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { EvaluationSettings } from '../eval/evaluate.ts';
import { evaluateCheckpoint } from '../eval/evaluateCheckpoint.ts';
import { keepEvaluations, worldEvaluation } from '../eval/keptEvaluations.ts';
import { writeFileWhole } from '../files.ts';
import { loadRecipe, type Recipe } from '../train/recipe.ts';
import { holdsRun } from '../train/runDirectory.ts';
import { startEngine, type TrainEvent, train } from '../train/train.ts';
import { openWorld } from '../worlds/open.ts';
import type { World } from '../worlds/world.ts';
import { type Compared, compared, readPipeline, recipesFolder, type Stage, stages } from './pipeline.ts';
import { type DemoResults, reportHtml, reportJson } from './report.ts';

export interface DemoOptions {
  /** Folder of the demo: one run a stage, and the report. */
  out: string;
  seed: number;
  /** The same path with too little training to mean anything. */
  smoke: boolean;
  /** Keep finished stages and go on where an earlier demo with the same recipes stopped. */
  resume: boolean;
  signal: AbortSignal;
  onStage: (name: string) => void;
  onProgress: (event: TrainEvent) => void;
  onEvaluation: (model: Compared, done: number, total: number) => void;
}

/** Trains all stages, compares the models and writes the report; undefined if the signal came first. */
export async function runDemo(options: DemoOptions): Promise<DemoResults | undefined> {
  const { out, smoke, resume } = options;
  const start = performance.now();
  const recipes = await Promise.all(stages.map(stage => stageRecipe(stage, options)));
  if (!resume) for (const { name } of stages) rmSync(join(out, name), { recursive: true, force: true });

  // One world for all: its interpreter starts once.
  const { world, close } = await openWorld(recipes[0].world);
  const settings = evaluationSettings(options);
  let evaluations: DemoResults['evaluations'] | undefined;
  try {
    if (await trainStages(recipes, world, options)) evaluations = await compare(recipes[0], world, settings, options);
  } finally {
    await close();
  }
  if (!evaluations) return undefined;
  const seconds = (performance.now() - start) / 1000;
  const results: DemoResults = { evaluations, settings, smoke, seconds };
  writeFileWhole(join(out, 'report.json'), `${JSON.stringify(reportJson(results), null, 2)}\n`);
  writeFileWhole(join(out, 'report.html'), reportHtml(results, out));
  return results;
}

/** False if the signal came first. */
async function trainStages(
  recipes: readonly Recipe[],
  world: World,
  { out, signal, onStage, onProgress }: DemoOptions,
): Promise<boolean> {
  for (const [i, { name }] of stages.entries()) {
    onStage(name);
    const runDir = join(out, name);
    const { finished } = await train(recipes[i], { runDir, world, resume: holdsRun(runDir), signal, onProgress });
    if (!finished) return false;
  }
  return true;
}

function stageRecipe({ name, model, teacher }: Stage, { out, seed, smoke }: DemoOptions): Promise<Recipe> {
  return loadRecipe(join(recipesFolder, `${name}.yaml`), {
    ...(smoke ? readPipeline().smoke.stages[name] : {}),
    seed,
    ...(model && { model: join(out, model, 'final') }),
    ...(teacher && { teacher: join(out, teacher, 'final') }),
  });
}

function evaluationSettings({ smoke, seed }: DemoOptions): EvaluationSettings {
  const { eval: full, smoke: small } = readPipeline();
  return { ...full, ...(smoke && small.eval), seed };
}

/** Every model on the same held-out tasks; undefined if the signal came first. */
async function compare(
  { engine: engineSettings, world: worldName }: Recipe,
  world: World,
  settings: EvaluationSettings,
  { out, signal, onEvaluation }: DemoOptions,
): Promise<DemoResults['evaluations'] | undefined> {
  const engine = await startEngine({ engine: engineSettings });
  try {
    const evaluations: Partial<DemoResults['evaluations']> = {};
    for (const [name, folder] of Object.entries(compared) as [Compared, string][]) {
      const onProgress = (done: number, total: number) => onEvaluation(name, done, total);
      const checkpoint = join(out, folder);
      const evaluation = await evaluateCheckpoint(engine, checkpoint, world, settings, { signal, onProgress });
      await keepEvaluations(checkpoint, [worldEvaluation(worldName, settings, evaluation)]);
      evaluations[name] = evaluation;
    }
    return evaluations as DemoResults['evaluations'];
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  } finally {
    await engine.close();
  }
}
