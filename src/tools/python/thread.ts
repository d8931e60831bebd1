import type { Worker } from 'node:worker_threads';
import { startWorker } from '../../worker.ts';
import type { InterpreterOptions, Outcome } from './interpreter.ts';
import type { Reply, Request, Work } from './messages.ts';

/** How long interrupted code may take to end by itself before its thread is ended. */
const GRACE_MS = 500;
const SIGINT = 2;

/**
 * `killed`: the code did not heed the interrupt; `crashed`: it broke the interpreter; in both cases, if it was a cell of
 * the history, `replaying` says which. `lost`: the thread ended before this work's turn.
 */
export type WorkEnd =
  | { kind: 'done'; outcome: Outcome; output: string }
  | { kind: 'killed'; replaying?: number }
  | { kind: 'crashed'; replaying?: number; reason: string }
  | { kind: 'lost' };

interface Job {
  work: Work;
  signal?: AbortSignal;
  replaying?: number;
  resolve(end: WorkEnd): void;
  reject(error: unknown): void;
}

/** A thread with one interpreter, which runs cells and programs one after the other, each within the time limit. */
export class InterpreterThread {
  readonly #worker: Worker;
  readonly #interrupt: Uint8Array;
  readonly #timeoutMs: number;
  readonly #queue: Job[] = [];
  #running: Job | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isReady = false;
  #isKilled = false;
  #failure: Error | undefined;
  /** Rejects if the interpreter cannot be loaded. */
  readonly ready: Promise<void>;
  hasEnded = false;

  constructor(options: Omit<InterpreterOptions, 'interrupt'>, timeoutMs: number) {
    const interrupt = new SharedArrayBuffer(4);
    this.#interrupt = new Uint8Array(interrupt);
    this.#timeoutMs = timeoutMs;
    this.#worker = startWorker(new URL('./interpreter.worker.ts', import.meta.url), {
      workerData: { ...options, interrupt },
      env: {},
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: 512, stackSizeMb: 192 },
    });
    this.ready = new Promise((resolve, reject) => {
      this.#worker.on('message', (reply: Reply) => {
        if (reply.kind === 'ready') {
          this.#isReady = true;
          resolve();
        }
        this.#receive(reply);
      });
      this.#worker.on('error', error => {
        this.#failure = error;
      });
      this.#worker.on('exit', () => {
        reject(this.#failure ?? new Error('The Python interpreter was closed.'));
        this.#end();
      });
    });
    this.ready.catch(() => {});
  }

  /** Runs the code when its turn comes. @throws the reason of `signal`, or why the interpreter cannot be loaded. */
  run(work: Work, signal?: AbortSignal): Promise<WorkEnd> {
    return new Promise<WorkEnd>((resolve, reject) => {
      const job: Job = { work, signal, resolve, reject };
      this.#queue.push(job);
      signal?.addEventListener('abort', () => this.#abort(job), { once: true });
      this.#next();
    }).finally(() => this.#hold());
  }

  /** Tells the interpreter that a session will not return. */
  drop(session: number): void {
    if (!this.hasEnded) this.#send({ kind: 'drop', session });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #receive(reply: Reply): void {
    const job = this.#running;
    if (reply.kind === 'turn' && job) {
      job.replaying = reply.replaying;
      this.#startTimer();
    } else if (reply.kind === 'crashed') {
      this.#failure = new Error(reply.reason);
      void this.#worker.terminate();
    } else if (reply.kind === 'done' && job) {
      clearTimeout(this.#timer);
      this.#running = undefined;
      if (job.signal?.aborted) job.reject(job.signal.reason);
      else job.resolve(reply);
    }
    this.#next();
  }

  #next(): void {
    this.#hold();
    if (!this.#isReady || this.#running || this.hasEnded) return;
    const job = this.#queue.shift();
    if (!job) return;
    this.#running = job;
    // Whatever was meant for the code before came too late for it.
    Atomics.store(this.#interrupt, 0, 0);
    this.#send(job.work);
    this.#startTimer();
  }

  #startTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#stop(), this.#timeoutMs);
  }

  /** Interrupts what is running; ends the thread if that does not help. */
  #stop(): void {
    Atomics.store(this.#interrupt, 0, SIGINT);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#isKilled = true;
      void this.#worker.terminate();
    }, GRACE_MS);
  }

  #abort(job: Job): void {
    if (job === this.#running) {
      this.#stop();
    } else if (this.#queue.includes(job)) {
      this.#queue.splice(this.#queue.indexOf(job), 1);
      job.reject(job.signal!.reason);
    }
  }

  #end(): void {
    this.hasEnded = true;
    clearTimeout(this.#timer);
    const replaying = this.#running?.replaying;
    const reason = this.#failure?.message ?? 'it was closed';
    if (this.#running?.signal?.aborted) this.#running.reject(this.#running.signal.reason);
    else
      this.#running?.resolve(this.#isKilled ? { kind: 'killed', replaying } : { kind: 'crashed', replaying, reason });
    this.#running = undefined;
    for (const job of this.#queue.splice(0)) {
      if (this.#isReady) job.resolve({ kind: 'lost' });
      else job.reject(new Error(`The Python interpreter could not be started: ${reason}`));
    }
  }

  #send(request: Request): void {
    this.#worker.postMessage(request);
  }

  /** An idle thread does not keep the process alive. */
  #hold(): void {
    if (this.#running || this.#queue.length > 0) this.#worker.ref();
    else this.#worker.unref();
  }
}
