import type { Worker } from 'node:worker_threads';
import { ranOutOfMemory, startWorker, ThreadError } from '../../worker.ts';
import { threadClock, type WorkClock, WorkLimit } from '../../workLimit.ts';

/** No answer is as long; what is, equals only itself. */
const MAX_CHARS = 1000;
const LIMIT_MS = 2000;

interface Question {
  answers: [string, string];
  resolve(isSame: boolean): void;
  reject(error: ThreadError): void;
  limit?: WorkLimit;
}

/** What the thread says: once which thread it is, then its answers. */
export type FromComparer = { thread: number | undefined } | { isSame: boolean };

/**
 * Compares answers by what they mean, in a thread of its own: text that a model wrote can ask for any amount of work.
 * What is not done in time, or needs too much memory, is not equal; the questions behind it get another thread.
 */
export class MathComparer {
  readonly #waiting: Question[] = [];
  #worker: Worker;
  /** Of the thread that is ready. */
  #clock?: WorkClock;
  #asked?: Question;
  #isKilled = false;
  #isClosed = false;
  #failure?: ThreadError;

  constructor() {
    this.#worker = this.#start();
  }

  /**
   * Whether two answers, in LaTeX or plain, mean the same.
   * @throws ThreadError if the thread cannot start, or ends without having been asked for too much
   */
  equal(a: string, b: string): Promise<boolean> {
    if (a === b) return Promise.resolve(a.trim() !== '');
    if (this.#isClosed || a.length > MAX_CHARS || b.length > MAX_CHARS) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ answers: [a, b], resolve, reject });
      this.#next();
    });
  }

  /** Ends the thread; what has not been answered is not equal. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve(false);
    await this.#worker.terminate();
  }

  #next(): void {
    if (this.#failure) for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
    if (this.#asked || this.#waiting.length > 0) this.#worker.ref();
    else this.#worker.unref();
    if (this.#asked || !this.#clock) return;
    this.#asked = this.#waiting.shift();
    if (!this.#asked) return;
    this.#worker.postMessage(this.#asked.answers);
    this.#asked.limit = new WorkLimit(this.#clock, LIMIT_MS, () => this.#kill());
  }

  #start(): Worker {
    const worker = startWorker(new URL('./comparer.worker.ts', import.meta.url), {
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 256 },
    });
    let hasStarted = false;
    let cause: unknown;
    worker.on('message', (message: FromComparer) => {
      if ('isSame' in message) {
        void this.#answer(message.isSame);
      } else {
        hasStarted = true;
        this.#clock = threadClock(worker, message.thread);
        this.#next();
      }
    });
    worker.on('error', error => {
      cause = error;
    });
    worker.on('exit', () => this.#replace(hasStarted, cause));
    worker.unref();
    return worker;
  }

  #kill(): void {
    this.#clock = undefined;
    this.#isKilled = true;
    void this.#worker.terminate();
  }

  /** The thread has ended: by what it was asked for, and then another takes its place, or else for good. */
  #replace(hasStarted: boolean, cause: unknown): void {
    this.#clock = undefined;
    const askedTooMuch = this.#isKilled || (hasStarted && ranOutOfMemory(cause));
    this.#isKilled = false;
    if (askedTooMuch && !this.#isClosed) {
      this.#worker = this.#start();
    } else if (!this.#isClosed) {
      this.#failure = new ThreadError('The thread that compares answers', { hasStarted, cause });
      this.#asked?.reject(this.#failure);
    }
    void this.#answer(false);
  }

  async #answer(isSame: boolean): Promise<void> {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked) {
      const isOver = await asked.limit?.end();
      asked.resolve(isSame && !isOver);
    }
    this.#next();
  }
}
