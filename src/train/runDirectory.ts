import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../errors.ts';
import { removeUnfinished, replaceFolder, syncToDisk, temporaryFolder, writeFileWhole } from '../files.ts';
import { lockFolder } from '../folderLock.ts';
import { firstIssue } from '../schema.ts';
import { explained, SystemRefusal } from '../systemErrors.ts';
import { mlflowFile, tensorboardFolder } from '../trackers/schema.ts';
import { pinnedToolsFile } from './pinnedTools.ts';
import { formatRecipe, parseRecipe, type Recipe, readSection } from './recipe.ts';
import {
  type KeptTrajectory,
  keptIterations,
  readIndex,
  readTrajectory,
  type TrajectoryEntry,
  writeTrajectories,
} from './trajectoryFile.ts';

/** How far a run has come: iterations finished and updates made. */
const progressSchema = z.looseObject({ iteration: z.int().nonnegative(), update: z.int().nonnegative() });
export type Progress = Pick<z.infer<typeof progressSchema>, 'iteration' | 'update'>;

/** One line of `metrics.jsonl`. */
export type Metrics = Record<string, unknown> & Progress;

/** What becomes of older checkpoints. */
export interface CheckpointKeeping {
  /** Removes what belongs to a checkpoint elsewhere, before it is deleted. */
  discard?: (dir: string) => Promise<void>;
  /** Updates up to which the run is known to be well: the newest checkpoint from there stays, with those after it. */
  good?: number;
}

/**
 * Everything a training run leaves on disk:
 *
 *     recipe.yaml           the recipe with every default written out
 *     mcp-tools.json        the tools that its MCP servers offer, where it has some
 *     metrics.jsonl         one line an iteration; until the run ends, its evaluation in a line of its own
 *     trajectories/         what was sampled, to be looked at
 *     initial/              the fresh model, where the recipe asks for one
 *     checkpoints/<update>/ weights and optimizer state, and rollouts by older weights, to resume from
 *     evaluations/<iteration>/ the samples of evaluations on benchmarks
 *     tensorboard/          event files, and in mlflow.json what its run on a server is called, where the recipe has trackers
 *     best/                 the model that did best in evaluations, if there were any
 *     final/                the trained model
 *
 * Checkpoints appear whole or not at all, so a run killed at any moment goes on from the last one. A start that has come to
 * no update is no run yet: another may begin in its place.
 */
export class RunDirectory {
  readonly path: string;
  readonly recipe: Recipe;
  readonly #isNew: boolean;
  readonly #unlock: () => void;

  private constructor(path: string, recipe: Recipe, isNew: boolean) {
    this.path = path;
    this.recipe = recipe;
    this.#isNew = isNew;
    this.#unlock = lockFolder(path);
  }

  /**
   * Claims a folder for a new run, which begins with `begin`. What is left of a start that has learned nothing is removed.
   * @throws UserError if the folder already holds a run, or what a run would take for its own.
   */
  static create(path: string, recipe: Recipe): RunDirectory {
    mkdirSync(path, { recursive: true });
    const run = new RunDirectory(path, recipe, true);
    try {
      run.#makeRoom();
      return run;
    } catch (error) {
      run.#unlock();
      throw error;
    }
  }

  /** Opens a run to go on with it. */
  static resume(path: string): RunDirectory {
    return new RunDirectory(path, readRecipe(path), false);
  }

  /** From now on the folder holds the start of a run, if it has not before. */
  begin(): void {
    removeUnfinished(this.path);
    for (const name of ['checkpoints', 'trajectories']) {
      mkdirSync(join(this.path, name), { recursive: true });
      removeUnfinished(join(this.path, name));
    }
    const file = join(this.path, 'recipe.yaml');
    if (!existsSync(file)) writeFileWhole(file, formatRecipe(this.recipe));
  }

  /** The folder of the fresh model that the recipe's `init` asks for. */
  get initial(): string {
    return join(this.path, 'initial');
  }

  /** The folder of the trained model. */
  get final(): string {
    return join(this.path, 'final');
  }

  /** The folder of the model that has done best in evaluations so far. */
  get best(): string {
    return join(this.path, 'best');
  }

  /** The folder for what is sampled in the evaluation at an iteration. */
  evaluation(iteration: number): string {
    return join(this.path, 'evaluations', fileNumber(iteration));
  }

  get finished(): boolean {
    return existsSync(this.final);
  }

  /** The folders of the checkpoints, newest first. */
  checkpoints(): string[] {
    return checkpointsOf(this.path);
  }

  /** How far a checkpoint has come. @throws UserError if it does not say, or says what its name does not. */
  progressOf(checkpoint: string): Progress {
    const file = join(checkpoint, 'progress.json');
    let progress: Progress;
    try {
      progress = progressSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    } catch (error) {
      const refusal = explained(error, file);
      if (refusal instanceof SystemRefusal) throw refusal;
      throw new UserError(`${file} is damaged: ${reasonOf(error)}`);
    }
    if (progress.update !== updatesOf(checkpoint)) {
      throw new UserError(`${file} is damaged: it says that ${progress.update} updates were made`);
    }
    return progress;
  }

  /**
   * Writes a checkpoint by `save`, then deletes the oldest ones beyond `save.keep`.
   * @returns its folder
   */
  async checkpoint(
    progress: Progress,
    save: (dir: string) => Promise<void>,
    { discard = async () => {}, good = Number.POSITIVE_INFINITY }: CheckpointKeeping = {},
  ): Promise<string> {
    const final = join(this.path, 'checkpoints', fileNumber(progress.update));
    const temporary = temporaryFolder(final);
    rmSync(temporary, { recursive: true, force: true });
    await save(temporary);
    writeFileWhole(join(temporary, 'progress.json'), JSON.stringify(progress));
    if (existsSync(this.#metricsFile)) syncToDisk(this.#metricsFile);
    replaceFolder(temporary, final);
    const written = this.checkpoints().filter(checkpoint => updatesOf(checkpoint) <= progress.update);
    const lastGood = written.findIndex(checkpoint => updatesOf(checkpoint) <= good);
    const needed = lastGood < 0 ? written.length : lastGood + 1;
    for (const old of written.slice(Math.max(this.recipe.save.keep, needed))) {
      await discard(old);
      rmSync(old, { recursive: true });
    }
    return final;
  }

  /** Deletes the checkpoints of more updates. @returns the newest that is left, if one is */
  async forgetCheckpointsAfter(update: number, discard: (dir: string) => Promise<void>): Promise<string | undefined> {
    const [after, left] = [true, false].map(isAfter =>
      this.checkpoints().filter(checkpoint => updatesOf(checkpoint) > update === isAfter),
    );
    for (const checkpoint of after) {
      await discard(checkpoint);
      rmSync(checkpoint, { recursive: true });
    }
    return left[0];
  }

  log(metrics: Metrics): void {
    appendFileSync(this.#metricsFile, `${JSON.stringify(metrics)}\n`);
  }

  /** Adds what is told of an iteration after its line: readers take both for one. It outlasts a power cut. */
  logMore(metrics: Metrics): void {
    this.log(metrics);
    syncToDisk(this.#metricsFile);
  }

  /** Forgets all metrics but these. */
  keepMetrics(kept: readonly Metrics[]): void {
    writeFileWhole(this.#metricsFile, kept.map(line => `${JSON.stringify(line)}\n`).join(''));
  }

  /** Keeps trajectories of an iteration, if there are any. */
  logTrajectories(iteration: number, trajectories: readonly KeptTrajectory[]): void {
    if (trajectories.length > 0) writeTrajectories(trajectoriesOf(this.path), iteration, trajectories);
  }

  /** Gives the folder back; a new run that has learned nothing leaves nothing. */
  close(): void {
    const leavesNothing = this.#isNew && !holdsRun(this.path);
    if (leavesNothing) this.#removeStart();
    this.#unlock();
    if (leavesNothing) removeIfEmpty(this.path);
  }

  #makeRoom(): void {
    if (holdsRun(this.path)) {
      const goOn = `go on with it (--resume ${this.path})`;
      throw new UserError(`${this.path} already holds a run: ${goOn} or choose another folder`);
    }
    this.#removeStart();
    const other = ['final', ...namesOfStart].find(name => holdsAnything(join(this.path, name)));
    if (other) throw new UserError(`${join(this.path, other)} is of no run: choose another folder`);
  }

  #removeStart(): void {
    if (!existsSync(join(this.path, 'recipe.yaml'))) return;
    removeUnfinished(this.path);
    for (const name of namesOfStart) rmSync(join(this.path, name), { recursive: true, force: true });
  }

  get #metricsFile(): string {
    return metricsFile(this.path);
  }
}

/** What a start makes that has learned nothing. Removed in this order, it is known as one until the end. */
const namesOfStart = [
  'metrics.jsonl',
  'trajectories',
  'evaluations',
  'best.evaluations.json',
  'best',
  'initial',
  pinnedToolsFile,
  tensorboardFolder,
  mlflowFile,
  'recipe.yaml',
  'checkpoints',
];

/**
 * Whether a folder holds a run, and not only a start that has learned nothing: it has come to an update or to a checkpoint.
 * A recipe without what `RunDirectory.begin` makes beside it is taken for a run: it may be anything.
 */
export function holdsRun(path: string): boolean {
  if (!existsSync(join(path, 'recipe.yaml'))) return false;
  const metrics = metricsFile(path);
  return (
    !existsSync(join(path, 'checkpoints')) ||
    checkpointsOf(path).length > 0 ||
    existsSync(join(path, 'final')) ||
    (existsSync(metrics) && statSync(metrics).size > 0)
  );
}

/** A folder that is gone, or that another process has begun to fill, is left as it is. */
function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code!)) throw error;
  }
}

function holdsAnything(path: string): boolean {
  return existsSync(path) && !(statSync(path).isDirectory() && readdirSync(path).length === 0);
}

/** @throws UserError if `path` is not a run's folder. */
export function readRecipe(path: string): Recipe {
  const file = join(path, 'recipe.yaml');
  if (!existsSync(file)) throw new UserError(`${path} is not the folder of a run: it has no recipe.yaml`);
  return parseRecipe(readSection(file), file);
}

/**
 * The metrics of a run, up to that of an iteration, for each of which it has all that was told; a line that a crash left
 * unfinished is no line.
 * @throws UserError if one of these lines is damaged; what comes behind the first of the last iteration may be.
 */
export function readMetrics(path: string, iteration = Number.POSITIVE_INFINITY): Metrics[] {
  const file = metricsFile(path);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  const metrics: Metrics[] = [];
  for (const [i, text] of lines.entries()) {
    const last = metrics.at(-1);
    const isLast = (last?.iteration ?? 0) >= iteration;
    if (isLast && !isOf(iteration, text)) break;
    const line = parseMetrics(text, `${file}, line ${i + 1},`);
    if (line.iteration === last?.iteration) metrics[metrics.length - 1] = { ...last, ...line };
    else metrics.push(line);
  }
  return metrics.filter(line => line.iteration <= iteration);
}

function isOf(iteration: number, line: string): boolean {
  try {
    return progressSchema.parse(JSON.parse(line)).iteration === iteration;
  } catch {
    return false;
  }
}

function parseMetrics(line: string, at: string): Metrics {
  try {
    return progressSchema.parse(JSON.parse(line));
  } catch (error) {
    throw new UserError(`${at} is damaged: ${reasonOf(error)}; delete the line to do without it`);
  }
}

function reasonOf(error: unknown): string {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'it is missing';
  return error instanceof z.ZodError ? firstIssue(error) : (error as Error).message;
}

/** All trajectories that a run has kept, those of its last iteration first; of damaged files, none. */
export function readTrajectories(path: string): KeptTrajectory[] {
  const folder = trajectoriesOf(path);
  return keptIterations(folder).flatMap(iteration =>
    readIndex(folder, iteration).flatMap(entry => readTrajectory(folder, iteration, entry) ?? []),
  );
}

/** The newest trajectory that a run has kept for which something holds. */
export function newestTrajectory(path: string, fits: (entry: TrajectoryEntry) => boolean): KeptTrajectory | undefined {
  const folder = trajectoriesOf(path);
  for (const iteration of keptIterations(folder)) {
    for (const entry of readIndex(folder, iteration)) {
      const found = fits(entry) && readTrajectory(folder, iteration, entry);
      if (found) return found;
    }
  }
  return undefined;
}

/** The folder of the trajectories that a run keeps. */
export function trajectoriesOf(path: string): string {
  return join(path, 'trajectories');
}

/** The folders of a run's checkpoints, newest first. */
export function checkpointsOf(path: string): string[] {
  const folder = join(path, 'checkpoints');
  return numbered(folder, /^\d+$/).map(name => join(folder, name));
}

/** The names in a folder that are numbers, the greatest first. */
function numbered(folder: string, pattern: RegExp): string[] {
  const names = readdirSync(folder).filter(name => pattern.test(name));
  return names.sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10));
}

function updatesOf(checkpoint: string): number {
  return Number(basename(checkpoint));
}

function metricsFile(path: string): string {
  return join(path, 'metrics.jsonl');
}

function fileNumber(value: number): string {
  return String(value).padStart(6, '0');
}
