import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { UserError } from '../errors.ts';
import { replaceFolder, temporaryFolder, writeFileWhole } from '../files.ts';
import { lockFolder } from '../folderLock.ts';
import { formatRecipe, parseRecipe, type Recipe } from './recipe.ts';
import { formatTrajectories, type SampledTrajectory } from './sample.ts';

/** How far a run has come: iterations finished and updates made. */
export interface Progress {
  iteration: number;
  update: number;
}

/** One line of `metrics.jsonl`. */
export type Metrics = Record<string, unknown> & Progress;

/**
 * Everything a training run leaves on disk:
 *
 *     recipe.yaml           the recipe with every default written out
 *     metrics.jsonl         one line an iteration
 *     trajectories/         readable samples
 *     initial/              the fresh model, where the recipe asks for one
 *     checkpoints/<update>/ weights and optimizer state, to resume from
 *     final/                the trained model
 *
 * Checkpoints appear whole or not at all, so a run killed at any moment goes on from the last one.
 */
export class RunDirectory {
  readonly path: string;
  readonly recipe: Recipe;
  readonly #unlock: () => void;

  private constructor(path: string, recipe: Recipe) {
    this.path = path;
    this.recipe = recipe;
    this.#unlock = lockFolder(path);
  }

  /**
   * Claims a folder for a new run, which begins with `begin`.
   * @throws UserError if the folder already holds a run.
   */
  static create(path: string, recipe: Recipe): RunDirectory {
    if (existsSync(join(path, 'recipe.yaml'))) {
      throw new UserError(`${path} already holds a run: go on with it (--resume ${path}) or choose another folder`);
    }
    mkdirSync(path, { recursive: true });
    return new RunDirectory(path, recipe);
  }

  /** From now on the folder holds a run, if it has not before. */
  begin(): void {
    mkdirSync(join(this.path, 'checkpoints'), { recursive: true });
    mkdirSync(join(this.path, 'trajectories'), { recursive: true });
    const file = join(this.path, 'recipe.yaml');
    if (!existsSync(file)) writeFileWhole(file, formatRecipe(this.recipe));
  }

  /** Opens a run to go on with it; what was written after its last checkpoint is forgotten. */
  static resume(path: string): RunDirectory {
    const run = new RunDirectory(path, readRecipe(path));
    if (run.finished) return run;
    const { iteration } = run.progress();
    const kept = readMetrics(path).filter(line => line.iteration <= iteration);
    writeFileWhole(join(path, 'metrics.jsonl'), kept.map(line => `${JSON.stringify(line)}\n`).join(''));
    return run;
  }

  /** The folder of the fresh model that the recipe's `init` asks for. */
  get initial(): string {
    return join(this.path, 'initial');
  }

  /** The folder of the trained model. */
  get final(): string {
    return join(this.path, 'final');
  }

  get finished(): boolean {
    return existsSync(this.final);
  }

  /** The newest complete checkpoint, if there is one. */
  latest(): string | undefined {
    const newest = this.#checkpoints().at(-1);
    return newest && join(this.path, 'checkpoints', newest);
  }

  /** How far the newest checkpoint has come. */
  progress(): Progress {
    const latest = this.latest();
    if (!latest) return { iteration: 0, update: 0 };
    return JSON.parse(readFileSync(join(latest, 'progress.json'), 'utf8'));
  }

  /** Writes a checkpoint by `save`, then deletes the oldest ones beyond `save.keep`. */
  async checkpoint(progress: Progress, save: (dir: string) => Promise<void>): Promise<void> {
    const name = fileNumber(progress.update);
    const temporary = temporaryFolder(join(this.path, 'checkpoints', name));
    rmSync(temporary, { recursive: true, force: true });
    await save(temporary);
    writeFileWhole(join(temporary, 'progress.json'), JSON.stringify(progress));
    replaceFolder(temporary, join(this.path, 'checkpoints', name));
    for (const old of this.#checkpoints().slice(0, -this.recipe.save.keep)) {
      rmSync(join(this.path, 'checkpoints', old), { recursive: true });
    }
  }

  log(metrics: Metrics): void {
    appendFileSync(join(this.path, 'metrics.jsonl'), `${JSON.stringify(metrics)}\n`);
  }

  logTrajectories(iteration: number, samples: readonly SampledTrajectory[]): void {
    writeFileWhole(join(this.path, 'trajectories', `${fileNumber(iteration)}.yaml`), formatTrajectories(samples));
  }

  close(): void {
    this.#unlock();
  }

  #checkpoints(): string[] {
    return readdirSync(join(this.path, 'checkpoints'))
      .filter(name => /^\d+$/.test(name))
      .sort();
  }
}

/** @throws UserError if `path` is not a run's folder. */
export function readRecipe(path: string): Recipe {
  const file = join(path, 'recipe.yaml');
  if (!existsSync(file)) throw new UserError(`${path} is not the folder of a run: it has no recipe.yaml`);
  return parseRecipe(parse(readFileSync(file, 'utf8')), file);
}

/** The metrics of a run so far; a line that a crash left unfinished is no line. */
export function readMetrics(path: string): Metrics[] {
  const file = join(path, 'metrics.jsonl');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map(line => JSON.parse(line));
}

/** The readable trajectories of a run, newest first. */
export function readTrajectories(path: string): SampledTrajectory[] {
  const folder = join(path, 'trajectories');
  const files = existsSync(folder) ? readdirSync(folder).sort().reverse() : [];
  return files.flatMap(file => parse(readFileSync(join(folder, file), 'utf8')));
}

function fileNumber(value: number): string {
  return String(value).padStart(6, '0');
}
