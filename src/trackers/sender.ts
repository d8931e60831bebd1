import { setTimeout as sleep } from 'node:timers/promises';
import type { Metrics } from '../train/runDirectory.ts';
import type { Outcome, Store, TrackedLine } from './store.ts';
import { valuesOf } from './values.ts';

export interface SenderOptions {
  /** What is lacking is told at the end: with what the run can be gone on with. */
  runDir: string;
  onNotice: (notice: string) => void;
  /** The first pause after a failure; each further one is twice as long, up to a minute. Default 1,000. */
  firstPauseMs?: number;
  /** How long the end of a run waits for what is not told yet. Default 10,000. */
  farewellMs?: number;
}

const longestPauseMs = 60_000;
const linesAtOnce = 100;

/**
 * Tells a store what a run comes to, beside it: nobody waits. What fails is told again, from where the store says that it is; what it
 * has already, which a run that was resumed comes to once more, is not told again.
 */
export class Sender {
  readonly #store: Store;
  readonly #options: Required<SenderOptions>;
  /** What has not been told. */
  #queue: { line: Metrics; time: number }[] = [];
  /** What the store has; not known at first and after a failure. */
  #known: Map<string, number> | undefined;
  #work: Promise<void> | undefined;
  /** Why something has not been told. */
  #failure = '';
  readonly #closing = new AbortController();
  readonly #late = new AbortController();

  constructor(store: Store, options: SenderOptions) {
    this.#store = store;
    const { firstPauseMs = 1000, farewellMs = 10_000 } = options;
    this.#options = { ...options, firstPauseMs, farewellMs };
  }

  /** Takes a line, or what it has become since. */
  tell(line: Metrics): void {
    this.#queue.push({ line, time: Date.now() });
    this.#work ??= this.#send();
  }

  /** Ends when all is told that can be told now: once more is tried, for a bounded time. */
  async close(outcome: Outcome): Promise<void> {
    this.#closing.abort();
    const timer = setTimeout(() => this.#late.abort(), this.#options.farewellMs);
    await this.#work;
    await this.#sendEnd(outcome);
    clearTimeout(timer);
  }

  async #send(): Promise<void> {
    for (let failures = 0; this.#queue.length > 0; ) {
      const isLast = this.#closing.signal.aborted;
      try {
        await this.#sendNext();
        failures = 0;
      } catch (error) {
        this.#known = undefined;
        this.#failure = this.#reasonOf(error);
        if (isLast || this.#late.signal.aborted) break;
        if (failures === 0) this.#notice(`${this.#failure}; what it misses is told when it can be`);
        await this.#pause(failures++);
      }
    }
    this.#work = undefined;
  }

  async #sendNext(): Promise<void> {
    const signal = this.#late.signal;
    this.#known ??= new Map(await this.#store.known(signal));
    const known = this.#known;
    const taken = this.#queue.slice(0, linesAtOnce);
    const lines = taken.map(({ line, time }) => newOf(line, time, known)).filter(({ values }) => values.size > 0);
    if (lines.length > 0) await this.#store.add(lines, signal);
    this.#queue.splice(0, taken.length);
  }

  async #sendEnd(outcome: Outcome): Promise<void> {
    const remedy = `sod train --resume ${this.#options.runDir} tells it what it misses`;
    if (this.#queue.length > 0) return this.#notice(`${this.#failure}; ${remedy}`);
    if (!this.#known) return; // It has never been asked for anything.
    try {
      await this.#store.end(outcome, this.#late.signal);
    } catch (error) {
      this.#notice(`${this.#reasonOf(error)}; ${remedy}`);
    }
  }

  #reasonOf(error: unknown): string {
    return this.#late.signal.aborted ? 'it did not answer in time' : (error as Error).message;
  }

  #notice(what: string): void {
    this.#options.onNotice(`${this.#store.name}: ${what}`);
  }

  /** A run that ends waits for none. */
  async #pause(failures: number): Promise<void> {
    const { firstPauseMs } = this.#options;
    const ms = Math.min(firstPauseMs * 2 ** failures, longestPauseMs);
    await sleep(ms, undefined, { signal: this.#closing.signal, ref: false }).catch(() => {});
  }
}

/** Of a line what a store does not have, which then is known. */
function newOf(line: Metrics, time: number, known: Map<string, number>): TrackedLine {
  const { iteration } = line;
  const values = new Map([...valuesOf(line)].filter(([metric]) => iteration > (known.get(metric) ?? -1)));
  for (const metric of values.keys()) known.set(metric, iteration);
  return { iteration, time, values };
}
