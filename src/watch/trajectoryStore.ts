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
import { mostHits, type SearchHit, type TrajectoryQuery, type TrajectoryRow, type TrajectoryView } from './api.ts';

type Row = TrajectoryRow & TrajectoryIndex[number];
type Order = TrajectoryQuery['order'];

const mostRows = 500;
/** Characters around what was found. */
const excerptMargin = 60;
/** Iterations that a search has in memory. */
const atOnce = 3;
const unzip = promisify(gunzip);

/** The trajectories of one run: their indexes in memory, once they have been asked for, themselves on disk. */
export class TrajectoryStore {
  readonly #folder: string;
  /** When the folder changed last, and what it has since, the last first. */
  #changed = -1;
  #iterations: readonly number[] = [];
  readonly #indexes = new Map<number, { looked: number; changed: number; rows: Row[] }>();
  /** What the last query in another order than the newest first found: a list that is scrolled asks for one part after another. */
  #sorted: { key: string; rows: readonly Row[] } | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A part of those that fit the query. For the newest no more indexes are read than they take. */
  list({ offset = 0, limit = 100, order = 'newest', ...query }: TrajectoryQuery): TrajectoryRow[] {
    const end = offset + Math.min(limit, mostRows);
    const rows = order === 'newest' ? this.#newest(query, end) : this.#inOrder(query, order);
    return rows.slice(offset, end).map(listed);
  }

  /** How many fit the query. */
  count(query: TrajectoryQuery): number {
    let count = 0;
    for (const rows of this.#fitting(query)) count += rows.length;
    return count;
  }

  /** One trajectory, with the other attempts at its task; undefined where there is none. */
  view(iteration: number, index: number): TrajectoryView | undefined {
    this.#refresh();
    const row = this.#iterations.includes(iteration) ? this.#rows(iteration)[index] : undefined;
    const trajectory = row && readTrajectory(this.#folder, iteration, row);
    if (!trajectory) return undefined;
    const attempts = [...this.#fitting({ task: row.task })].flat().filter(({ source }) => source === row.source);
    return { row: listed(row), trajectory, attempts: attempts.map(listed).sort(byAge) };
  }

  /** Those that fit the query and have the text in what was said, asked or answered, newest first; letters in either case. */
  async *search(text: string, query: TrajectoryQuery, signal: AbortSignal): AsyncGenerator<SearchHit> {
    const wanted = literally(text);
    // As it stands in a line of JSON: most lines need not be parsed.
    const written = literally(JSON.stringify(text).slice(1, -1));
    let hits = 0;
    for await (const kept of ahead(this.#kept(query))) {
      for (const { row, line } of kept) {
        signal.throwIfAborted();
        if (!line || !written.test(line)) continue;
        const excerpt = excerptOf(JSON.parse(line), wanted);
        if (excerpt === undefined) continue;
        yield { row: listed(row), excerpt };
        if (++hits === mostHits) return;
      }
    }
  }

  /** The lines of those that fit the query, iteration by iteration, the last first. */
  *#kept(query: TrajectoryQuery): Generator<Promise<{ row: Row; line?: string }[]>> {
    for (const rows of this.#fitting(query)) {
      yield this.#lines(rows).then(lines => rows.map((row, i) => ({ row, line: lines[i] })));
    }
  }

  /** Of rows of one iteration; nothing where the file is gone or damaged. */
  async #lines(rows: readonly Row[]): Promise<string[]> {
    try {
      const file = await readFile(trajectoryFile(this.#folder, rows[0].iteration));
      const members = rows.map(({ start, bytes }) => file.subarray(start, start + bytes));
      return (await unzip(Buffer.concat(members))).toString().split('\n');
    } catch {
      return [];
    }
  }

  #newest(query: TrajectoryQuery, most: number): readonly Row[] {
    const found: Row[] = [];
    for (const rows of this.#fitting(query)) {
      for (const row of rows) found.push(row);
      if (found.length >= most) break;
    }
    return found;
  }

  #inOrder(query: TrajectoryQuery, order: Order): readonly Row[] {
    this.#refresh();
    const key = JSON.stringify([query, order]);
    if (this.#sorted?.key !== key) this.#sorted = { key, rows: sorted([...this.#fitting(query)].flat(), order) };
    return this.#sorted.rows;
  }

  /** Those that fit the query, iteration by iteration, the last first; an index is read when it is its turn. */
  *#fitting(query: TrajectoryQuery): Generator<readonly Row[]> {
    this.#refresh();
    const { from = 0, to = Number.POSITIVE_INFINITY } = query;
    for (const iteration of this.#iterations) {
      if (iteration < from || iteration > to) continue;
      const rows = this.#rows(iteration).filter(row => fits(row, query));
      if (rows.length > 0) yield rows;
    }
  }

  #refresh(): void {
    const changed = statSync(this.#folder, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (changed === this.#changed) return;
    this.#changed = changed;
    this.#iterations = keptIterations(this.#folder);
    const kept = new Set(this.#iterations);
    for (const iteration of this.#indexes.keys()) if (!kept.has(iteration)) this.#indexes.delete(iteration);
    this.#sorted = undefined;
  }

  #rows(iteration: number): readonly Row[] {
    const known = this.#indexes.get(iteration);
    if (known?.looked === this.#changed) return known.rows;
    const changed = statSync(indexFile(this.#folder, iteration), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const rows =
      known?.changed === changed
        ? known.rows
        : readIndex(this.#folder, iteration).map((entry, index) => rowOf(entry, iteration, index));
    this.#indexes.set(iteration, { looked: this.#changed, changed, rows });
    return rows;
  }
}

/** What is promised, in its order: while one is looked at, others are under way. */
async function* ahead<T>(promises: Iterable<Promise<T>>): AsyncGenerator<T> {
  const begun: Promise<T>[] = [];
  for (const promise of promises) {
    begun.push(promise);
    if (begun.length === atOnce) yield begun.shift()!;
  }
  yield* begun;
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

function fits(row: Row, { leastReward, mostReward, ...query }: TrajectoryQuery): boolean {
  return (
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
function sorted(rows: Row[], order: Order): Row[] {
  if (order === 'oldest') return rows.sort(byAge);
  if (order === 'reward') return largestFirst(rows, ({ reward }) => reward);
  return largestFirst(rows, ({ divergence }) => divergence ?? -1);
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

/** Where its bytes are is nobody's business but ours. */
function listed({ start: _, bytes: __, ...row }: Row): TrajectoryRow {
  return row;
}

/** Finds a text as it is, letters in either case. */
function literally(text: string): RegExp {
  return new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'), 'iu');
}

function excerptOf({ prompt, steps }: KeptTrajectory, wanted: RegExp): string | undefined {
  for (const text of [...steps.flatMap(({ text, observation = '' }) => [text, observation]), prompt]) {
    const { 0: found, index } = wanted.exec(text) ?? {};
    if (found !== undefined)
      return text.slice(Math.max(0, index! - excerptMargin), index! + found.length + excerptMargin);
  }
  return undefined;
}
