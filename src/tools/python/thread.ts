import type { Worker } from 'node:worker_threads';
import { ranOutOfMemory, startWorker, ThreadError } from '../../worker.ts';
import { threadClock, type WorkClock, WorkLimit } from '../../workLimit.ts';
import { Control } from './control.ts';
import { type Ending, type Reply, type Request, timeoutText, type Work, type WorkerData } from './messages.ts';

/** What interrupted code may use to end by itself before its thread is ended. */
const GRACE_MS = 500;

export type Outcome = 'ok' | 'exception' | 'timeout';

/**
 * `killed`: the code did not heed the interrupt; `crashed`: it broke the interpreter; in both cases, if it was a cell of
 * the history, `replaying` says which. `lost`: the thread ended before this work's turn.
 */
export type WorkEnd =
  /** `ending` is for the history; `lost`: places in it of what could not be replayed as it was. */
  | { kind: 'done'; outcome: Outcome; output: string; ending: Ending; lost: number[] }
  | { kind: 'killed'; replaying?: number }
  | { kind: 'crashed'; replaying?: number; reason: string }
  | { kind: 'lost' };

interface Job {
  work: Work;
  signal?: AbortSignal;
  replaying?: number;
  limit?: WorkLimit;
  /** Of the code that is to end by itself. */
  grace?: WorkLimit;
  resolve(end: WorkEnd): void;
  reject(error: unknown): void;
}

/** A thread with one interpreter, which runs cells and programs one after the other, each within the time limit. */
export class InterpreterThread {
  readonly #worker: Worker;
  readonly #control = new Control();
  readonly #timeoutMs: number;
  readonly #queue: Job[] = [];
  #running: Job | undefined;
  /** Of the thread that is ready. */
  #cpuClock: WorkClock | undefined;
  #isKilled = false;
  #isClosed = false;
  #crash: string | undefined;
  #cause: unknown;
  readonly #loaded: Promise<void>;
  /** Resolves when the thread has ended, to whether what it ran had ended it. */
  readonly ended: Promise<boolean>;
  hasEnded = false;

  constructor(options: Omit<WorkerData, 'control'>) {
    this.#timeoutMs = options.timeoutMs;
    const workerData: WorkerData = { ...options, control: this.#control.buffer };
    this.#worker = startWorker(new URL('./interpreter.worker.ts', import.meta.url), {
      workerData,
      env: {},
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: 512, stackSizeMb: 192 },
    });
    this.#loaded = new Promise((resolve, reject) => {
      this.#worker.on('message', (reply: Reply) => {
        if (reply.kind === 'ready') {
          this.#cpuClock = threadClock(this.#worker, reply.thread);
          resolve();
        }
        void this.#receive(reply);
      });
      this.#worker.on('error', error => {
        this.#cause = error;
      });
      this.#worker.on('exit', () => reject(this.#failure()));
    });
    this.#loaded.catch(() => {});
    this.ended = new Promise(resolve => {
      this.#worker.on('exit', () => resolve(this.#end()));
    });
    this.#hold();
  }

  /** Resolves when it can run code. @throws ThreadError if it cannot be started. */
  async load(): Promise<void> {
    this.#worker.ref();
    await this.#loaded.finally(() => this.#hold());
  }

  /** Runs the code when its turn comes. @throws the reason of `signal`, or ThreadError if the thread fails. */
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
    this.#isClosed = true;
    await this.#worker.terminate();
  }

  /** What the thread has used: its CPU time, and what its code has slept up to the call. */
  async #used(sleptMs = this.#control.sleptMs): Promise<number> {
    return (await this.#cpuClock!()) + sleptMs;
  }

  async #receive(reply: Reply): Promise<void> {
    const job = this.#running;
    if (reply.kind === 'turn' && job) {
      job.replaying = reply.replaying;
      this.#limit(job, reply.sleptMs);
    } else if (reply.kind === 'crashed') {
      this.#crash = reply.reason;
      void this.#worker.terminate();
    } else if (reply.kind === 'done' && job) {
      this.#running = undefined;
      const isOver = await endLimits(job);
      if (job.signal?.aborted) job.reject(job.signal.reason);
      else job.resolve(this.#done(reply, isOver));
    }
    this.#next();
  }

  /** What the code says of its end counts only as far as the clock does not know better. */
  #done({ ending, output, lost }: Extract<Reply, { kind: 'done' }>, isOver: boolean): WorkEnd {
    if (!isOver) return { kind: 'done', outcome: ending === 'ok' ? 'ok' : 'exception', output, ending, lost };
    const told = ending === 'stopped' ? output : `${output}TimeoutError: ${timeoutText(this.#timeoutMs)}\n`;
    return { kind: 'done', outcome: 'timeout', output: told, ending: 'stopped', lost };
  }

  #next(): void {
    this.#hold();
    if (!this.#cpuClock || this.#running || this.#wasEndedByWork || this.hasEnded) return;
    const job = this.#queue.shift();
    if (!job) return;
    this.#running = job;
    // Whatever was meant for the code before came too late for it.
    this.#control.takeSignal();
    this.#limit(job);
    this.#send(job.work);
  }

  /** From where the code had slept so long: it sleeps faster than this thread is told of its turn. */
  #limit(job: Job, sleptMs?: number): void {
    void endLimits(job);
    job.limit = new WorkLimit(
      () => this.#used(),
      this.#timeoutMs,
      () => this.#stop(job),
      this.#used(sleptMs),
    );
  }

  /** Interrupts what is running; ends the thread if that does not help. */
  #stop(job: Job): void {
    this.#control.interrupt();
    job.grace ??= new WorkLimit(
      () => this.#used(),
      GRACE_MS,
      () => {
        this.#isKilled = true;
        void this.#worker.terminate();
      },
    );
  }

  #abort(job: Job): void {
    if (job === this.#running) {
      this.#stop(job);
    } else if (this.#queue.includes(job)) {
      this.#queue.splice(this.#queue.indexOf(job), 1);
      job.reject(job.signal!.reason);
    }
  }

  get #wasEndedByWork(): boolean {
    return this.#isKilled || this.#crash !== undefined;
  }

  #failure(): Error {
    if (this.#isClosed) return new Error('The Python interpreter was closed.');
    const hasStarted = this.#cpuClock !== undefined;
    return new ThreadError('The thread of the Python interpreter', { hasStarted, cause: this.#cause });
  }

  /** Answers what is open; whether what the thread ran has ended it. */
  #end(): boolean {
    this.hasEnded = true;
    if (this.#cpuClock && ranOutOfMemory(this.#cause)) this.#crash = 'MemoryError: the interpreter ran out of memory';
    const job = this.#running;
    this.#running = undefined;
    if (job) {
      void endLimits(job);
      this.#answer(job);
    }
    for (const waiting of this.#queue.splice(0)) {
      if (this.#wasEndedByWork || this.#isClosed) waiting.resolve({ kind: 'lost' });
      else waiting.reject(this.#failure());
    }
    return this.#wasEndedByWork;
  }

  /** To the job in which the thread ended. */
  #answer({ signal, replaying, resolve, reject }: Job): void {
    if (signal?.aborted) reject(signal.reason);
    else if (this.#isKilled) resolve({ kind: 'killed', replaying });
    else if (this.#crash !== undefined) resolve({ kind: 'crashed', replaying, reason: this.#crash });
    else if (this.#isClosed) resolve({ kind: 'lost' });
    else reject(this.#failure());
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

/** Whether a job has used more time than it may. */
async function endLimits(job: Job): Promise<boolean> {
  const { limit, grace } = job;
  job.limit = undefined;
  job.grace = undefined;
  void grace?.end();
  return (await limit?.end()) ?? false;
}
