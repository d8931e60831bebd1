/**
 * The one rule for the time of comparisons, tool calls and test programs: a limit begins when the work does and counts what
 * the work's thread used, so that what comes of it does not depend on what runs beside. Behind it stands a limit on the
 * wall, for work that uses nothing and does not end either.
 */

import { readFileSync, readlinkSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';

/** What work has used up to now, in milliseconds. */
export type WorkClock = () => Promise<number>;

/** The wall's limit, in limits: the thread that gets a hundredth of a core comes to its end. */
const WALL_LIMITS = 100;
/** Where no system tells what a thread used, it counts as having had this share of the wall's time. */
const UNKNOWN_SHARE = 0.1;
/** Work that is nearly over is not looked at more often. */
const MIN_WAIT_MS = 5;
/** The longest that a timer of Node takes. */
const MAX_WAIT_MS = 2 ** 31 - 1;

/** Watches one piece of work from its construction to `end`. */
export class WorkLimit {
  readonly #clock: WorkClock;
  readonly #limitMs: number;
  readonly #onOver: () => void;
  readonly #usedBefore: Promise<number>;
  readonly #wall: NodeJS.Timeout;
  #next: NodeJS.Timeout | undefined;
  #isOver = false;
  #hasEnded = false;

  /**
   * @param onOver called once, when the work has used more than it may and has not ended
   * @param usedBefore what the clock told as the work began, where that was before now
   */
  constructor(clock: WorkClock, limitMs: number, onOver: () => void, usedBefore = clock()) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#onOver = onOver;
    this.#usedBefore = usedBefore;
    this.#wall = setTimeout(() => this.#over(), Math.min(limitMs * WALL_LIMITS, MAX_WAIT_MS));
    this.#look(limitMs);
  }

  /** The work has ended. Whether it used more than it may, even if nobody came to stop it. */
  async end(): Promise<boolean> {
    this.#hasEnded = true;
    clearTimeout(this.#wall);
    clearTimeout(this.#next);
    return this.#isOver || (await this.#left()) <= 0;
  }

  /** Looks again when the work can have used what it has left, which it cannot before. */
  #look(leftMs: number): void {
    const wait = Math.min(Math.max(leftMs, MIN_WAIT_MS), MAX_WAIT_MS);
    this.#next = setTimeout(async () => {
      const left = await this.#left();
      if (left <= 0) this.#over();
      else if (!this.#hasEnded) this.#look(left);
    }, wait);
  }

  async #left(): Promise<number> {
    return this.#limitMs - ((await this.#clock()) - (await this.#usedBefore));
  }

  #over(): void {
    if (this.#hasEnded || this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#wall);
    this.#onOver();
  }
}

/** The number that the system has for the calling thread, for `threadClock`; undefined where there is none. */
export function ownThread(): number | undefined {
  try {
    return Number(/\d+$/.exec(readlinkSync('/proc/thread-self'))?.[0]);
  } catch {
    return undefined;
  }
}

/** The CPU time of a worker, which has told its `ownThread`. */
export function threadClock(worker: Worker, thread: number | undefined): WorkClock {
  const statistics = `/proc/self/task/${thread}/schedstat`;
  if (cpuMsIn(statistics) !== undefined) return async () => cpuMsIn(statistics) ?? 0;
  const { cpuUsage } = worker as { cpuUsage?(): Promise<NodeJS.CpuUsage> };
  if (cpuUsage) {
    const ended = { user: 0, system: 0 };
    return async () => {
      const { user, system } = await cpuUsage.call(worker).catch(() => ended);
      return (user + system) / 1000;
    };
  }
  return async () => performance.now() * UNKNOWN_SHARE;
}

/** The first number of a thread's `schedstat`; undefined where there is none, because the thread has ended or on other systems. */
function cpuMsIn(statistics: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(statistics, 'latin1'), 10) / 1e6;
  } catch {
    return undefined;
  }
}
