import { UserError } from '../../errors.ts';
import { noPackages, type PythonPackages } from '../packages/store.ts';
import { type PastCell, timeoutText, type Work } from './messages.ts';
import { InterpreterThread, type Outcome, type WorkEnd } from './thread.ts';

export interface PythonPoolOptions {
  /** Interpreters at the same time, each in a thread of its own, started when needed. Default 1. */
  workers?: number;
  /** Most time of one call: what its thread used of the CPU, and what it slept. Default 5,000. */
  timeoutMs?: number;
  /** Most memory of one interpreter; allocating more is a MemoryError. Default 256 MiB. */
  memoryBytes?: number;
  /** Output beyond this is cut in its middle while it is produced. Default 8,192. */
  maxOutputChars?: number;
  /** What can be imported beside the standard library. Default: nothing. */
  packages?: PythonPackages;
  /** Sessions after which an interpreter gets a successor. Default 50,000. */
  sessionsPerInterpreter?: number;
}

export interface PythonResult {
  /** What the code printed, the value of its final expression, and the traceback if it failed. */
  output: string;
  error?: 'exception' | 'timeout';
}

/** Most bytes of waiting sessions, files included, that all interpreters keep; beyond it one is rebuilt from its cells. */
const SAVED_BYTES = 2 ** 30;

/** Of a cell that was lost, the first line is told up to here. */
const MAX_LINE_CHARS = 80;

interface Place {
  thread: InterpreterThread;
  /** Sessions that live here. */
  live: Set<number>;
  served: number;
}

/**
 * Python interpreters that many sessions share: CPython as WebAssembly, without files, network or processes of the host.
 * Any number of sessions can be open; none sees anything of another.
 */
export class PythonPool {
  readonly #options: Required<PythonPoolOptions>;
  readonly #places: Place[] = [];
  #sessions = 0;
  #isClosed = false;

  constructor(options: PythonPoolOptions = {}) {
    this.#options = {
      workers: options.workers ?? 1,
      timeoutMs: options.timeoutMs ?? 5_000,
      memoryBytes: options.memoryBytes ?? 256 * 2 ** 20,
      maxOutputChars: options.maxOutputChars ?? 8_192,
      packages: options.packages ?? noPackages,
      sessionsPerInterpreter: options.sessionsPerInterpreter ?? 50_000,
    };
    if (this.#options.workers < 1) throw new UserError('A Python pool needs at least 1 worker.');
    if (this.#options.memoryBytes < 64 * 2 ** 20) throw new UserError('A Python interpreter needs at least 64 MiB.');
  }

  /** Starts the first interpreter; resolves when it can run code. */
  async ready(): Promise<void> {
    const place = this.#places.find(({ thread }) => !thread.hasEnded) ?? this.#open();
    await place.thread.load();
  }

  /** A fresh interpreter of one's own. It costs nothing until it is used. */
  session(): PythonSession {
    return new PythonSession(this.#sessions++, this);
  }

  /** Ends all interpreters; what is running fails. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#places.map(({ thread }) => thread.close()));
  }

  get timeoutMs(): number {
    return this.#options.timeoutMs;
  }

  /**
   * Runs a program in an interpreter of its own, within the pool's limits, and gives what it wrote to standard output.
   * @throws the reason of `signal`; ThreadError if no interpreter can be started; when closed.
   */
  async runProgram(source: string, input: string, signal?: AbortSignal): Promise<PythonResult> {
    signal?.throwIfAborted();
    const session = this.#sessions++;
    try {
      for (;;) {
        const end = await this.run(session, { kind: 'program', source, input }, signal);
        if (end.kind === 'done') return result(end.outcome, end.output);
        if (end.kind === 'killed') return { output: '', error: 'timeout' };
        if (end.kind === 'crashed') return { output: end.reason, error: 'exception' };
      }
    } finally {
      this.drop(session);
    }
  }

  /** Runs code where the session lives, or else where there is room. For sessions. */
  run(session: number, work: Work, signal?: AbortSignal): Promise<WorkEnd> {
    if (this.#isClosed) throw new Error('The Python pool is closed.');
    const place = this.#home(session) ?? this.#settle(session);
    return place.thread.run(work, signal);
  }

  /** Forgets a session. For sessions. */
  drop(session: number): void {
    const home = this.#home(session);
    if (!home) return;
    home.live.delete(session);
    home.thread.drop(session);
    if (this.#isRetiring(home) && home.live.size === 0) void home.thread.close();
  }

  #home(session: number): Place | undefined {
    return this.#places.find(({ thread, live }) => !thread.hasEnded && live.has(session));
  }

  #settle(session: number): Place {
    const open = this.#places.filter(place => !place.thread.hasEnded && !this.#isRetiring(place));
    const emptiest = open.reduce((a, b) => (b.live.size < a.live.size ? b : a), open[0]);
    const place =
      emptiest && (emptiest.live.size === 0 || open.length >= this.#options.workers) ? emptiest : this.#open();
    place.live.add(session);
    place.served++;
    return place;
  }

  /** An interpreter that has served its time takes no new session and ends with its last one. */
  #isRetiring({ served }: Place): boolean {
    return served >= this.#options.sessionsPerInterpreter;
  }

  #open(): Place {
    const { workers, timeoutMs, memoryBytes, maxOutputChars, packages } = this.#options;
    const savedBytes = SAVED_BYTES / workers;
    const thread = new InterpreterThread({ timeoutMs, memoryBytes, maxOutputChars, packages, savedBytes });
    const place: Place = { thread, live: new Set(), served: 0 };
    const ended = this.#places.findIndex(({ thread }) => thread.hasEnded);
    if (ended >= 0) this.#places.splice(ended, 1);
    this.#places.push(place);
    void thread.ended.then(wasEndedByWork => {
      if (wasEndedByWork && this.#places.includes(place) && !this.#isClosed) this.#open();
    });
    return place;
  }
}

/** The interpreter as one trajectory sees it: its variables last from call to call and are its own. */
export class PythonSession {
  readonly #id: number;
  readonly #pool: PythonPool;
  /** What the session's state is rebuilt from when its interpreter is lost. */
  readonly #history: PastCell[] = [];
  #isClosed = false;

  constructor(id: number, pool: PythonPool) {
    this.#id = id;
    this.#pool = pool;
  }

  /**
   * Runs code. Failures of the code are in the result, and what of earlier code was lost with an interpreter.
   * @throws the reason of `signal`; ThreadError if no interpreter can be started; when closed.
   */
  async run(source: string, signal?: AbortSignal): Promise<PythonResult> {
    signal?.throwIfAborted();
    const lost: PastCell[] = [];
    for (;;) {
      if (this.#isClosed) throw new Error('The Python session is closed.');
      const work: Work = { kind: 'cell', session: this.#id, source, history: this.#history };
      const end = await this.#pool.run(this.#id, work, signal);
      if (end.kind === 'lost') continue;
      if (end.kind === 'done') {
        lost.push(...this.#lose(end.lost));
        this.#history.push({ source, ending: end.ending });
        return result(end.outcome, lossNote(lost) + end.output);
      }
      if (end.replaying !== undefined) {
        lost.push(...this.#history.splice(end.replaying, 1));
        continue;
      }
      const isKilled = end.kind === 'killed';
      const reason = isKilled ? `TimeoutError: ${timeoutText(this.#pool.timeoutMs)}` : end.reason;
      return { output: `${lossNote(lost)}${reason}\n${UNDONE}`, error: isKilled ? 'timeout' : 'exception' };
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#pool.drop(this.#id);
  }

  /** The cells at these places. What was stopped is gone for good; what ended otherwise this time cannot be repeated again. */
  #lose(places: readonly number[]): PastCell[] {
    const cells = places.map(place => ({ ...this.#history[place] }));
    for (const place of places.toReversed()) {
      if (this.#history[place].ending === 'stopped') this.#history.splice(place, 1);
      else this.#history[place].ending = 'stopped';
    }
    return cells;
  }
}

const UNDONE = 'Note: the interpreter had to be restarted, and what this code had done is undone.\n';

/** Tells the model what it can no longer rely on; nothing where nothing was lost. */
function lossNote(lost: readonly PastCell[]): string {
  if (lost.length === 0) return '';
  const cells = lost.map(({ source }) => `  ${beginning(source)}\n`);
  return `Note: the interpreter had to be restarted, and what this earlier code had done is lost, wholly or in part:\n${cells.join('')}`;
}

function beginning(source: string): string {
  const [line, ...more] = source.trim().split('\n');
  return line.length > MAX_LINE_CHARS || more.length > 0 ? `${line.slice(0, MAX_LINE_CHARS)} …` : line;
}

function result(outcome: Outcome, output: string): PythonResult {
  return outcome === 'ok' ? { output } : { output, error: outcome };
}
