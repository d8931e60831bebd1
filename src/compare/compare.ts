import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Evaluation, EvaluationSettings } from '../eval/evaluate.ts';
import { evaluateCheckpoint } from '../eval/evaluateCheckpoint.ts';
import { writeFileWhole } from '../files.ts';
import type { Recipe } from '../train/recipe.ts';
import { readRecipe } from '../train/runDirectory.ts';
import { startEngine, type TrainEvent, train } from '../train/train.ts';
import { type OpenWorld, openWorld } from '../worlds/open.ts';
import type { Plan } from './plan.ts';
import { reportHtml } from './report.ts';
import { formatMarkdown, type Row, rowOf, tableJson } from './table.ts';

export interface CompareOptions {
  /** Folder of the table and the report; the runs are in the plan's. */
  out: string;
  /** The command that was given, for the report. */
  command: string;
  signal: AbortSignal;
  /** A run begins: which, and the how-manieth of how many. */
  onRun: (name: string, index: number, total: number) => void;
  onProgress: (event: TrainEvent) => void;
  onEvaluation: (name: string, done: number, total: number) => void;
}

/**
 * Trains every method from the same checkpoint for every seed, measures all on the same held-out tasks and writes the
 * table (table.json, table.md) and the report (report.html), anew after each seed. Finished runs and their measurements
 * are kept, unfinished ones go on where they stopped.
 * @returns the rows of the table; undefined if the signal came first.
 */
export async function compare(plan: Plan, options: CompareOptions): Promise<Row[] | undefined> {
  const { signal } = options;
  const total = plan.stages.length + plan.methods.length * plan.seeds.length;
  let index = 0;
  const trained = async (name: string, runDir: string, recipe: Recipe) => {
    options.onRun(name, ++index, total);
    const resume = existsSync(join(runDir, 'recipe.yaml'));
    return (await train(recipe, { runDir, resume, signal, onProgress: options.onProgress })).finished;
  };

  for (const { name, runDir, recipe } of plan.stages) {
    if (!(await trained(name, runDir, await recipe()))) return undefined;
  }
  const baselines = startingModels(plan);
  let rows: Row[] = [];
  let measuring: Measuring | undefined;
  const evaluations = new Map<string, Evaluation[]>();
  try {
    for (const [s, seed] of plan.seeds.entries()) {
      for (const { name } of plan.methods) {
        if (!(await trained(`${name}, seed ${seed}`, plan.runDir(name, seed), await plan.recipe(name, seed)))) {
          return undefined;
        }
      }
      measuring ??= await Measuring.start(plan);
      const measured = [
        ...baselines.map(({ name, checkpoint, folder }) => ({ name, checkpoint, folder })),
        ...plan.methods.map(({ name }) => {
          const folder = plan.runDir(name, seed);
          return { name, checkpoint: join(folder, 'final'), folder };
        }),
      ];
      for (const { name, checkpoint, folder } of measured) {
        const file = join(folder, `${name}-eval-${seed}.json`);
        const evaluation = await measuring.evaluation(checkpoint, file, seed, signal, (done, of) =>
          options.onEvaluation(`${name}, seed ${seed}`, done, of),
        );
        evaluations.set(name, [...(evaluations.get(name) ?? []), evaluation]);
      }
      rows = [...evaluations].map(([name, all]) => rowOf(name, all));
      write(plan, rows, plan.seeds.slice(0, s + 1), options);
    }
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  } finally {
    await measuring?.close();
  }
  return rows;
}

/** What the methods are compared with beside each other: the teacher, and the student before and after its cold start. */
function startingModels({ stages, student, teacher }: Plan) {
  const dirOf = (name: string) => stages.find(stage => stage.name === name)!.runDir;
  const { model } = readRecipe(dirOf(student));
  const vanilla = model ?? join(dirOf(student), 'initial');
  return [
    { name: 'teacher', checkpoint: join(dirOf(teacher), 'final'), folder: dirOf(teacher) },
    { name: 'vanilla', checkpoint: vanilla, folder: dirOf(student) },
    { name: 'sft', checkpoint: join(dirOf(student), 'final'), folder: dirOf(student) },
  ];
}

/** Measures models in the world that they were trained in. */
class Measuring {
  private constructor(
    readonly settings: Plan['evaluation'],
    readonly recipe: Recipe,
    readonly opened: OpenWorld,
  ) {}

  static async start(plan: Plan): Promise<Measuring> {
    const recipe = readRecipe(plan.stages[0].runDir);
    return new Measuring(plan.evaluation, recipe, await openWorld(recipe.world));
  }

  /** The measurement in `file`, made first where it is missing or was made with other settings. */
  async evaluation(
    checkpoint: string,
    file: string,
    seed: number,
    signal: AbortSignal,
    onProgress: (done: number, total: number) => void,
  ): Promise<Evaluation> {
    const settings: EvaluationSettings = { ...this.settings, seed };
    if (existsSync(file)) {
      const kept = JSON.parse(readFileSync(file, 'utf8'));
      if (isDeepStrictEqual(kept.settings, settings)) return kept.evaluation;
    }
    const engine = await startEngine(this.recipe);
    try {
      const evaluation = await evaluateCheckpoint(engine, checkpoint, this.opened.world, settings, {
        signal,
        onProgress,
      });
      writeFileWhole(file, `${JSON.stringify({ settings, evaluation })}\n`);
      return evaluation;
    } finally {
      await engine.close();
    }
  }

  close(): Promise<void> {
    return this.opened.close();
  }
}

function write(plan: Plan, rows: Row[], seeds: number[], { out, command }: CompareOptions): void {
  writeFileWhole(join(out, 'table.json'), `${JSON.stringify(tableJson(rows, plan, seeds), null, 2)}\n`);
  writeFileWhole(join(out, 'table.md'), formatMarkdown(rows, plan));
  writeFileWhole(join(out, 'report.html'), reportHtml(rows, plan, seeds, command));
}
