import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import {
  indexFile,
  type KeptTrajectory,
  keptIterations,
  readIndex,
  readTrajectory,
  type TrajectoryIndex,
  trajectoryFile,
} from '../train/trajectoryFile.ts';
import {
  mostHits,
  type SearchHit,
  type TrajectoryList,
  type TrajectoryQuery,
  type TrajectoryRow,
  type TrajectoryView,
} from './api.ts';

type Row = TrajectoryRow & TrajectoryIndex[number];

const mostRows = 500;
/** Characters around what was found. */
const excerptMargin = 60;
const unzip = promisify(gunzip);

/** The trajectories of one run: their indexes in memory, themselves on disk. */
export class TrajectoryStore {
  readonly #folder: string;
  readonly #indexes = new Map<number, { changed: number; rows: Row[] }>();
  #changed = -1;
  /** All, the last iteration first. */
  #rows: readonly Row[] = [];
  /** What the last query found: a list that is scrolled asks for one part after another. */
  #found: { key: string; rows: readonly Row[] } | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  list({ offset = 0, limit = 100, ...query }: TrajectoryQuery): TrajectoryList {
    const rows = this.#fitting(query);
    return { total: rows.length, rows: rows.slice(offset, offset + Math.min(limit, mostRows)).map(listed) };
  }

  /** One trajectory, with the other attempts at its task; undefined where there is none. */
  view(iteration: number, index: number): TrajectoryView | undefined {
    this.#refresh();
    const row = this.#indexes.get(iteration)?.rows[index];
    const trajectory = row && readTrajectory(this.#folder, iteration, row);
    if (!trajectory) return undefined;
    const attempts = this.#rows.filter(other => other.task === row.task && other.source === row.source);
    return { row: listed(row), trajectory, attempts: attempts.map(listed).sort(byAge) };
  }

  /** Those that fit the query and have the text in what was said, asked or answered, newest first; letters in either case. */
  async *search(text: string, { order: _, ...query }: TrajectoryQuery, signal: AbortSignal): AsyncGenerator<SearchHit> {
    const wanted = text.toLowerCase();
    // As it stands in a line of JSON: most lines need not be parsed.
    const written = JSON.stringify(wanted).slice(1, -1);
    let hits = 0;
    for (const [iteration, rows] of byIteration(this.#fitting(query))) {
      const lines = await this.#lines(iteration);
      for (const row of rows) {
        signal.throwIfAborted();
        const line = lines[row.index];
        if (!line?.toLowerCase().includes(written)) continue;
        const excerpt = excerptOf(JSON.parse(line), wanted);
        if (excerpt === undefined) continue;
        yield { row: listed(row), excerpt };
        if (++hits === mostHits) return;
      }
    }
  }

  async #lines(iteration: number): Promise<string[]> {
    try {
      return (await unzip(await readFile(trajectoryFile(this.#folder, iteration)))).toString().split('\n');
    } catch {
      return [];
    }
  }

  #fitting(query: Omit<TrajectoryQuery, 'offset' | 'limit'>): readonly Row[] {
    this.#refresh();
    const key = JSON.stringify(query);
    if (this.#found?.key !== key) {
      const rows = this.#rows.filter(row => fits(row, query));
      this.#found = { key, rows: sorted(rows, query.order) };
    }
    return this.#found.rows;
  }

  #refresh(): void {
    const changed = statSync(this.#folder, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (changed === this.#changed) return;
    this.#changed = changed;
    const iterations = keptIterations(this.#folder);
    for (const iteration of iterations) this.#refreshIndex(iteration);
    const kept = new Set(iterations);
    for (const iteration of this.#indexes.keys()) if (!kept.has(iteration)) this.#indexes.delete(iteration);
    this.#rows = iterations.flatMap(iteration => this.#indexes.get(iteration)!.rows);
    this.#found = undefined;
  }

  #refreshIndex(iteration: number): void {
    const changed = statSync(indexFile(this.#folder, iteration), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (this.#indexes.get(iteration)?.changed === changed) return;
    const rows = readIndex(this.#folder, iteration).map((entry, index) => rowOf(entry, iteration, index));
    this.#indexes.set(iteration, { changed, rows });
  }
}

/** Written out, so that all rows have one shape: a hundred thousand are made and looked through in a moment. */
function rowOf(entry: TrajectoryIndex[number], iteration: number, index: number): Row {
  const { task, source, sample, reward, correct, end, pattern, steps, tokens, errors, divergence, start, bytes } =
    entry;
  return {
    iteration,
    index,
    start,
    bytes,
    task,
    source,
    sample,
    reward,
    correct,
    end,
    pattern,
    steps,
    tokens,
    errors,
    divergence,
  };
}

function fits(row: Row, query: TrajectoryQuery): boolean {
  const { from = 0, to = Number.POSITIVE_INFINITY, leastReward, mostReward } = query;
  return (
    row.iteration >= from &&
    row.iteration <= to &&
    row.reward >= (leastReward ?? Number.NEGATIVE_INFINITY) &&
    row.reward <= (mostReward ?? Number.POSITIVE_INFINITY) &&
    (query.task === undefined || row.task === query.task) &&
    (query.source === undefined || row.source === query.source) &&
    (query.correct === undefined || row.correct === query.correct) &&
    (query.pattern === undefined || row.pattern === query.pattern) &&
    (query.error === undefined || row.errors > 0 === query.error)
  );
}

/** Rows come the newest first. */
function sorted(rows: Row[], order: TrajectoryQuery['order'] = 'newest'): Row[] {
  if (order === 'oldest') return rows.sort(byAge);
  if (order === 'reward') return largestFirst(rows, ({ reward }) => reward);
  if (order === 'divergence') return largestFirst(rows, ({ divergence }) => divergence ?? -1);
  return rows;
}

/** By numbers that are looked up once for each row, not twice for each comparison. */
function largestFirst(rows: readonly Row[], key: (row: Row) => number): Row[] {
  const keys = Float64Array.from(rows, key);
  const order = Uint32Array.from(rows.keys()).sort((a, b) => keys[b] - keys[a]);
  return Array.from(order, i => rows[i]);
}

function byAge(a: TrajectoryRow, b: TrajectoryRow): number {
  return a.iteration - b.iteration || a.index - b.index;
}

function byIteration(rows: readonly Row[]): Map<number, Row[]> {
  const groups = new Map<number, Row[]>();
  for (const row of rows) {
    const group = groups.get(row.iteration);
    if (group) group.push(row);
    else groups.set(row.iteration, [row]);
  }
  return groups;
}

/** Where its bytes are is nobody's business but ours. */
function listed({ start: _, bytes: __, ...row }: Row): TrajectoryRow {
  return row;
}

function excerptOf({ prompt, steps }: KeptTrajectory, wanted: string): string | undefined {
  for (const text of [...steps.flatMap(({ text, observation = '' }) => [text, observation]), prompt]) {
    const at = text.toLowerCase().indexOf(wanted);
    if (at >= 0) return text.slice(Math.max(0, at - excerptMargin), at + wanted.length + excerptMargin);
  }
  return undefined;
}
