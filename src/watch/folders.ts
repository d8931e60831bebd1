import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UserError } from '../errors.ts';
import type { RunSummary, Runs, Table } from './api.ts';
import { WatchedRun } from './watchedRun.ts';

/** Folders of a run, and of others, in which there are no runs. */
const without = new Set(['checkpoints', 'trajectories', 'evaluations', 'initial', 'best', 'final', 'node_modules']);
/** How far below a given folder runs are looked for, and in how many folders. */
const deepest = 6;
const mostFolders = 20_000;
/** What is on disk is looked at again after so long … */
const freshMs = 900;
/** … and folders are searched for runs again after so many times what that took. */
const restAfterSearch = 20;
const largestTable = 1 << 20;

/** The runs in some folders, of which nothing but what is found there can be read. */
export class WatchedFolders {
  readonly #roots: string[];
  readonly #known = new Map<string, WatchedRun>();
  readonly #tableFiles = new Map<string, { changed: number; table: Table }>();
  #looked = Number.NEGATIVE_INFINITY;
  #searchAgain = Number.NEGATIVE_INFINITY;
  #runs: readonly RunSummary[] = [];
  #tables: readonly Table[] = [];

  /** @throws UserError where one is not there. */
  constructor(folders: readonly string[]) {
    for (const folder of folders) {
      if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) continue;
      throw new UserError(`${folder} is no folder: give that of a run, or one that has runs in it, such as runs`);
    }
    this.#roots = folders.map(folder => resolve(folder));
  }

  /** Everything as it is on disk, or was a moment ago: the same lists while nothing changes. */
  look(): Runs {
    const began = performance.now();
    if (began - this.#looked >= freshMs) {
      if (began >= this.#searchAgain) this.#search();
      this.#runs = kept(
        this.#runs,
        [...this.#known.values()].map(run => run.summary()),
      );
      this.#looked = performance.now();
    }
    return { runs: this.#runs, tables: this.#tables };
  }

  run(id: string): WatchedRun | undefined {
    this.look();
    return [...this.#known.values()].find(run => run.id === id);
  }

  /** Those that are gone stay known: whoever watches one is told. */
  #search(): void {
    const began = performance.now();
    const tables: Table[] = [];
    let left = mostFolders;
    const visit = (folder: string, name: string, depth: number) => {
      if (isRun(folder)) {
        if (!this.#known.has(folder)) this.#known.set(folder, new WatchedRun(folder, name));
        return;
      }
      tables.push(...this.#tablesIn(folder, name));
      if (depth === deepest) return;
      for (const entry of entries(folder)) {
        if (!entry.isDirectory() || without.has(entry.name) || entry.name.startsWith('.') || left-- <= 0) continue;
        visit(join(folder, entry.name), `${name}/${entry.name}`, depth + 1);
      }
    };
    for (const root of this.#roots) visit(root, basename(root), 0);
    this.#tables = kept(this.#tables, tables);
    this.#searchAgain = performance.now() + restAfterSearch * (performance.now() - began);
  }

  /** Of a comparison, of the demo, and of an evaluation on benchmarks. */
  #tablesIn(folder: string, name: string): Table[] {
    return ['table.json', 'report.json', 'results.json'].flatMap(file => {
      const path = join(folder, file);
      try {
        const { size, mtimeMs: changed } = statSync(path, { throwIfNoEntry: false }) ?? {};
        if (changed === undefined || size! > largestTable) return [];
        const known = this.#tableFiles.get(path);
        if (known?.changed === changed) return [known.table];
        const table = { name, table: JSON.parse(readFileSync(path, 'utf8')) };
        this.#tableFiles.set(path, { changed, table });
        return [table];
      } catch {
        return [];
      }
    });
  }
}

/** The list from before, where the one of now has the same entries. */
function kept<T>(before: readonly T[], now: readonly T[]): readonly T[] {
  return now.length === before.length && now.every((entry, i) => entry === before[i]) ? before : now;
}

function isRun(folder: string): boolean {
  const has = (name: string) => existsSync(join(folder, name));
  return has('recipe.yaml') && (has('metrics.jsonl') || has('checkpoints'));
}

/** What may not be read is not there. */
function entries(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}
