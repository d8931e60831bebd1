import type { Worker } from 'node:worker_threads';
import { startWorker } from '../../worker.ts';

/** No answer is as long; what is, equals only itself. */
const MAX_CHARS = 1000;
const TIMEOUT_MS = 2000;

interface Question {
  answers: [string, string];
  resolve(isSame: boolean): void;
}

/**
 * Compares answers by what they mean, in a thread of its own: text that a model wrote can ask for any amount of work.
 * What is not done in time, or breaks the thread, is not equal; the questions behind it get another thread.
 */
export class MathComparer {
  readonly #waiting: Question[] = [];
  #worker?: Worker;
  #asked?: Question;
  #timer?: NodeJS.Timeout;

  /** Whether two answers, in LaTeX or plain, mean the same. */
  equal(a: string, b: string): Promise<boolean> {
    if (a === b) return Promise.resolve(a.trim() !== '');
    if (a.length > MAX_CHARS || b.length > MAX_CHARS) return Promise.resolve(false);
    return new Promise(resolve => {
      this.#waiting.push({ answers: [a, b], resolve });
      this.#next();
    });
  }

  /** Ends the thread; what has not been answered is not equal. */
  async close(): Promise<void> {
    for (const { resolve } of this.#waiting.splice(0)) resolve(false);
    await this.#worker?.terminate();
  }

  #next(): void {
    if (this.#asked) return;
    this.#asked = this.#waiting.shift();
    if (!this.#asked) {
      this.#worker?.unref();
      return;
    }
    this.#worker ??= this.#start();
    this.#worker.ref();
    this.#worker.postMessage(this.#asked.answers);
    this.#timer = setTimeout(() => void this.#worker?.terminate(), TIMEOUT_MS);
  }

  #start(): Worker {
    const worker = startWorker(new URL('./comparer.worker.ts', import.meta.url), {
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: 256 },
    });
    worker.on('message', (isSame: boolean) => this.#answer(isSame));
    worker.on('error', () => {}); // its exit follows
    worker.on('exit', () => {
      this.#worker = undefined;
      this.#answer(false);
    });
    return worker;
  }

  #answer(isSame: boolean): void {
    clearTimeout(this.#timer);
    this.#asked?.resolve(isSame);
    this.#asked = undefined;
    this.#next();
  }
}
