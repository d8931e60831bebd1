import { join } from 'node:path';
import { UserError } from '../errors.ts';
import type { Evaluation } from '../eval/evaluate.ts';
import { writeFileWhole } from '../files.ts';
import { reportHtml } from '../report/html.ts';
import type { Recipe } from '../train/recipe.ts';
import { holdsRun, readRecipe } from '../train/runDirectory.ts';
import { type TrainOptions, train } from '../train/train.ts';
import type { TrainEvent } from '../train/trainEvent.ts';
import { Measuring } from './measuring.ts';
import type { Plan } from './plan.ts';
import { compareReport } from './report.ts';
import { formatMarkdown, type Row, rowOf, tableJson } from './table.ts';

/** How the person hears of a comparison, and stops it. */
export interface CompareControl {
  signal: AbortSignal;
  /** A run begins: which, and the how-manieth of how many. */
  onRun: (name: string, index: number, total: number) => void;
  onProgress: (event: TrainEvent) => void;
  onEvaluation: (name: string, done: number, total: number) => void;
  /** As of `train`. */
  allowMcp?: boolean;
  device?: TrainOptions['device'];
}

export interface CompareOptions extends CompareControl {
  /** Folder of the table and the report; the runs are in the plan's. */
  out: string;
  /** The command that was given, for the report. */
  command: string;
}

/** By the models' names, one evaluation a seed: the teacher, the student before (vanilla) and after its cold start (sft), the methods. */
export type Evaluations = ReadonlyMap<string, readonly Evaluation[]>;

/**
 * Trains and measures all that the plan names and writes the table (table.json, table.md) and the report (report.html), anew
 * after each seed.
 * @returns the rows of the table; undefined if the signal came first.
 */
export async function compare(plan: Plan, options: CompareOptions): Promise<Row[] | undefined> {
  let rows: Row[] = [];
  const evaluations = await trainAndMeasure(plan, options, (evaluations, seeds) => {
    rows = [...evaluations].map(([name, all]) => rowOf(name, all));
    write(plan, rows, seeds, options);
  });
  return evaluations && rows;
}

/**
 * Trains every method from the same checkpoint for every seed, and measures all models on the same held-out tasks. Finished runs
 * and their measurements are kept, unfinished ones go on where they stopped.
 * @param onSeed told after each seed what is known by then
 * @returns undefined if the signal came first.
 */
export async function trainAndMeasure(
  plan: Plan,
  control: CompareControl,
  onSeed?: (evaluations: Evaluations, seeds: readonly number[]) => void,
): Promise<Evaluations | undefined> {
  const titled = (name: string, seed: number) => (plan.seeds.length > 1 ? `${name}, seed ${seed}` : name);
  return untilStopped(control.signal, async () => {
    const trained = trainer(control, plan.stages.length + plan.methods.length * plan.seeds.length);
    const measuring = await Measuring.of(plan, control);
    try {
      await trainStages(plan, trained);
      const evaluations = new Map<string, Evaluation[]>();
      for (const [s, seed] of plan.seeds.entries()) {
        for (const { name } of plan.methods) {
          await trained(titled(name, seed), plan.runDir(name, seed), await plan.recipe(name, seed));
        }
        for (const { name, checkpoint, folder } of [...startingModels(plan), ...trainedModels(plan, seed)]) {
          const settings = { ...plan.evaluation, seed };
          const file = join(folder, `${name}-eval-${seed}.json`);
          const evaluation = await measuring.evaluation(checkpoint, settings, file, {
            signal: control.signal,
            onProgress: (done, total) => control.onEvaluation(titled(name, seed), done, total),
          });
          evaluations.set(name, [...(evaluations.get(name) ?? []), evaluation]);
        }
        onSeed?.(evaluations, plan.seeds.slice(0, s + 1));
      }
      return evaluations;
    } finally {
      await measuring.close();
    }
  });
}

type TrainRun = (name: string, runDir: string, recipe: Recipe) => Promise<void>;

/** Trains one run after the other, each from where it stands. It throws an AbortError when the signal ends one early. */
export function trainer({ signal, onRun, onProgress, allowMcp, device }: CompareControl, total: number): TrainRun {
  let index = 0;
  return async (name, runDir, recipe) => {
    onRun(name, ++index, total);
    const { finished, stoppedBy } = await train(recipe, {
      runDir,
      resume: holdsRun(runDir),
      allowMcp,
      device,
      signal,
      onProgress,
    });
    if (stoppedBy) throw new UserError(`${name} was stopped: ${stoppedBy}`);
    if (!finished) signal.throwIfAborted();
  };
}

/** What all methods share. */
export async function trainStages(plan: Plan, trained: TrainRun): Promise<void> {
  for (const { name, runDir, recipe } of plan.stages) await trained(name, runDir, await recipe());
}

/** What `work` gives; undefined if the signal ended it. */
export async function untilStopped<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted && (error as Error).name === 'AbortError') return undefined;
    throw error;
  }
}

interface Model {
  name: string;
  checkpoint: string;
  /** Where its measurements are kept. */
  folder: string;
}

/** What the methods are compared with beside each other: the teacher, and the student before and after its cold start. */
function startingModels({ stages, student, teacher }: Plan): Model[] {
  const dirOf = (name: string) => stages.find(stage => stage.name === name)!.runDir;
  const vanilla = readRecipe(dirOf(student)).model ?? join(dirOf(student), 'initial');
  return [
    { name: 'teacher', checkpoint: join(dirOf(teacher), 'final'), folder: dirOf(teacher) },
    { name: 'vanilla', checkpoint: vanilla, folder: dirOf(student) },
    { name: 'sft', checkpoint: join(dirOf(student), 'final'), folder: dirOf(student) },
  ];
}

function trainedModels(plan: Plan, seed: number): Model[] {
  return plan.methods.map(({ name }) => {
    const folder = plan.runDir(name, seed);
    return { name, checkpoint: join(folder, 'final'), folder };
  });
}

function write(plan: Plan, rows: Row[], seeds: readonly number[], { out, command }: CompareOptions): void {
  writeFileWhole(join(out, 'table.json'), `${JSON.stringify(tableJson(rows, plan, seeds), null, 2)}\n`);
  writeFileWhole(join(out, 'table.md'), formatMarkdown(rows, plan));
  writeFileWhole(join(out, 'report.html'), reportHtml(compareReport(rows, plan, seeds, command)));
}
