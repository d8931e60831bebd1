import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { isInUse } from '../folderLock.ts';
import { ApiError } from '../serve/apiError.ts';
import { explained } from '../systemErrors.ts';
import { evaluationOf } from '../train/evaluationMetrics.ts';
import type { Recipe } from '../train/recipe.ts';
import { checkpointsOf, type Metrics, readRecipe, trajectoriesOf } from '../train/runDirectory.ts';
import { keptIterations } from '../train/trajectoryFile.ts';
import type { RunSummary } from './api.ts';
import { MetricsTail } from './metricsTail.ts';
import { TrajectoryStore } from './trajectoryStore.ts';

/** Of a run's folder: what is written as it goes on. */
const parts = ['recipe.yaml', 'metrics.jsonl', 'trajectories', 'checkpoints', 'best', 'final'];
const curvePoints = 60;
/** Iterations by whose pace the time that is left is told. */
const paceIterations = 10;

/** A run as it stands on disk, whoever writes it. */
export class WatchedRun {
  readonly id: string;
  readonly trajectories: TrajectoryStore;
  readonly #path: string;
  readonly #name: string;
  readonly #metrics: MetricsTail;
  #recipe: { changed: number; recipe: Recipe } | undefined;
  #summary: { state: string; summary: RunSummary } | undefined;

  /** @param name its folder as people are told of it */
  constructor(path: string, name: string) {
    this.id = createHash('sha256').update(path).digest('hex').slice(0, 12);
    this.#path = path;
    this.#name = name;
    this.#metrics = new MetricsTail(join(path, 'metrics.jsonl'));
    this.trajectories = new TrajectoryStore(trajectoriesOf(path));
  }

  get lines(): readonly Metrics[] {
    return this.#metrics.lines;
  }

  /** As it stands in its folder, with every default written out. */
  get recipe(): string {
    return readFileSync(recipeFile(this.#path), 'utf8');
  }

  /** How it stands now: the same object while nothing of it changes. Brings `lines` up to date. */
  summary(): RunSummary {
    const state = this.#state();
    if (this.#summary?.state !== state) this.#summary = { state, summary: this.#summarize() };
    return this.#summary.summary;
  }

  /** Whatever changes when the run does; of one that cannot be read, why. */
  #state(): string {
    try {
      const times = ['', ...parts].map(part => statSync(join(this.#path, part), { throwIfNoEntry: false })?.ctimeMs);
      return [...times, isInUse(this.#path)].join(' ');
    } catch (error) {
      return String(error);
    }
  }

  #summarize(): RunSummary {
    try {
      accessSync(this.#path, constants.R_OK | constants.X_OK);
      const recipe = this.#readRecipe();
      this.#metrics.refresh();
      return { ...this.#common(), ...this.#progress(recipe) };
    } catch (error) {
      const problem = existsSync(this.#path) ? (explained(error, this.#path) as Error).message : 'its folder is gone';
      return { ...this.#common(), state: 'unreadable', problem };
    }
  }

  /** Names a model as it is now, for `best` is written anew. @throws ApiError where there is none in that folder of the run */
  modelName(model: string): string {
    if (!modelsOf(this.#path).includes(model)) {
      throw new ApiError(404, `The run has no model ${JSON.stringify(model)} (any more).`, { code: 'not_found' });
    }
    return [this.id, model, statSync(join(this.#path, model)).mtimeMs].join(' ');
  }

  openModel<T>(
    open: (run: string, recipe: Recipe, model: string, signal: AbortSignal) => Promise<T>,
    model: string,
    signal: AbortSignal,
  ): Promise<T> {
    return open(this.#path, this.#readRecipe(), model, signal);
  }

  #common(): RunSummary {
    const last = this.lines.at(-1);
    return {
      id: this.id,
      name: this.#name,
      method: '',
      state: 'stopped',
      iteration: last?.iteration ?? 0,
      iterations: 0,
      changed: 0,
      curve: { metric: 'loss', values: [] },
      trajectories: 0,
      models: [],
    };
  }

  #progress(recipe: Recipe): Partial<RunSummary> {
    const { lines } = this;
    const iterations = iterationsOf(recipe);
    const isRunning = isInUse(this.#path);
    const state = existsSync(join(this.#path, 'final')) ? 'finished' : isRunning ? 'running' : 'stopped';
    const evaluated = lines.filter(line => evaluationOf(line));
    const last = lines.at(-1);
    return {
      method: recipe.method,
      state,
      iterations,
      changed: this.#changed(),
      ...(state === 'running' && { secondsLeft: secondsLeft(lines, iterations) }),
      accuracy: evaluationOf(evaluated.at(-1))?.average ?? (last?.accuracy as number | undefined),
      curve: curveOf(lines, evaluated),
      trajectories: keptIterations(trajectoriesOf(this.#path)).length,
      models: modelsOf(this.#path),
    };
  }

  #readRecipe(): Recipe {
    const changed = statSync(recipeFile(this.#path)).mtimeMs;
    if (this.#recipe?.changed !== changed) this.#recipe = { changed, recipe: readRecipe(this.#path) };
    return this.#recipe.recipe;
  }

  #changed(): number {
    const files = ['metrics.jsonl', 'recipe.yaml', 'final'].map(name => join(this.#path, name));
    return Math.max(...files.map(file => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0));
  }
}

/** In what a run has models, from its folder: the last one, the best, and the checkpoints, newest first. */
function modelsOf(run: string): string[] {
  const whole = ['final', 'best'].filter(name => existsSync(join(run, name)));
  const checkpoints = existsSync(join(run, 'checkpoints')) ? checkpointsOf(run) : [];
  return [...whole, ...checkpoints.map(folder => relative(run, folder))];
}

function recipeFile(path: string): string {
  return join(path, 'recipe.yaml');
}

/** As far as the recipe tells: of a dataset it does not say how many demonstrations it has. */
function iterationsOf(recipe: Recipe): number {
  const { training } = recipe;
  if ('iterations' in training) return training.iterations;
  return Math.ceil((training.demonstrations * training.epochs) / training.batchSize);
}

function secondsLeft(lines: readonly Metrics[], iterations: number): number | undefined {
  const seconds = lines.slice(-paceIterations).flatMap(line => (line.seconds ? [total(line.seconds)] : []));
  const last = lines.at(-1);
  if (!last || seconds.length === 0) return undefined;
  const pace = seconds.reduce((a, b) => a + b, 0) / seconds.length;
  return Math.max(0, iterations - last.iteration) * pace;
}

/** Of all phases of an iteration; who worked in them is told beside. */
function total(seconds: unknown): number {
  const { engines: _, ...phases } = seconds as Record<string, number>;
  return Object.values(phases).reduce((a, b) => a + b, 0);
}

/** Of evaluations where there are some, else of what people look at first. */
function curveOf(lines: readonly Metrics[], evaluated: readonly Metrics[]): RunSummary['curve'] {
  if (evaluated.length > 1) {
    return { metric: 'evaluation', values: thinned(evaluated.map(line => evaluationOf(line)!.average)) };
  }
  const metric = lines.some(line => typeof line.accuracy === 'number') ? 'accuracy' : 'loss';
  const values = lines.flatMap(line => (typeof line[metric] === 'number' ? [line[metric]] : []));
  return { metric, values: thinned(values) };
}

/** Means of neighbours, so that there are few. */
function thinned(values: readonly number[]): number[] {
  const size = Math.ceil(values.length / curvePoints);
  return Array.from({ length: Math.ceil(values.length / size) || 0 }, (_, i) => {
    const part = values.slice(i * size, (i + 1) * size);
    return part.reduce((a, b) => a + b, 0) / part.length;
  });
}
