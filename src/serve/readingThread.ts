import type { Worker } from 'node:worker_threads';
import { startWorker } from '../worker.ts';
import { ApiError } from './apiError.ts';
import type { ChatWork } from './chatReading.ts';
import type { CompletionWork } from './completionReading.ts';
import type { PromptModelOptions } from './promptModel.ts';
import type { ResponseWork, WrittenDialogue } from './responses/reading.ts';

/** What a body becomes, by the path that it is sent to. */
export interface Work {
  chat: ChatWork;
  completion: CompletionWork;
  response: ResponseWork;
}

export type Kind = keyof Work;

/** A body; then, where it goes on with an earlier response, that dialogue. */
export type ToReading = { kind: Kind; body: Uint8Array } | { before: WrittenDialogue };

export type FromReading =
  | { work: Work[Kind] }
  | { previous: string }
  | { refused: { status: number; message: string; type: string; code: string | null; param: string | null } }
  | { failed: { message: string; stack?: string } };

/** Reading takes time in proportion to a body, and a grammar has its budget: only what is wrong here takes longer. */
const mostMs = 60_000;
/** Bodies that wait to be read. */
const mostWaiting = 1024;

interface Task {
  kind: Kind;
  body: Uint8Array;
  signal: AbortSignal;
  dialogueOf: DialogueOf;
  resolve(work: Work[Kind]): void;
  reject(error: Error): void;
}

/** The dialogue of an earlier response. @throws ApiError where there is none */
type DialogueOf = (id: string) => WrittenDialogue;

/**
 * Reads bodies into tokens and grammars, one after the other in a thread of its own: whatever a client sends, the thread that
 * answers all others has time for them.
 */
export class ReadingThread {
  readonly #options: PromptModelOptions;
  readonly #waiting: Task[] = [];
  #current: Task | undefined;
  #worker: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: PromptModelOptions) {
    this.#options = options;
    this.#worker = this.#start();
  }

  /** @throws ApiError where the body cannot be answered; as `dialogueOf` */
  read<K extends Kind>(
    kind: K,
    body: Uint8Array,
    signal: AbortSignal,
    dialogueOf: DialogueOf = noDialogue,
  ): Promise<Work[K]> {
    if (this.#waiting.length >= mostWaiting) {
      throw new ApiError(429, 'Too many requests wait to be read; try again later.', {
        type: 'rate_limit_error',
        code: 'server_busy',
      });
    }
    return new Promise<Work[K]>((resolve, reject) => {
      this.#waiting.push({ kind, body, signal, dialogueOf, resolve: resolve as Task['resolve'], reject });
      this.#next();
    });
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    clearTimeout(this.#timer);
    for (const task of [this.#current, ...this.#waiting.splice(0)]) task?.reject(new Error('the server was closed'));
    await worker?.terminate();
  }

  #next(): void {
    while (!this.#current && this.#waiting.length > 0) {
      const task = this.#waiting.shift()!;
      if (task.signal.aborted) {
        task.reject(clientGone());
        continue;
      }
      this.#current = task;
      this.#worker ??= this.#start();
      const { kind, body } = task;
      this.#worker.postMessage({ kind, body } satisfies ToReading);
      this.#timer = setTimeout(() => {
        this.#end(new ApiError(400, `The body takes more than ${mostMs / 1000} seconds to read.`));
      }, mostMs);
    }
  }

  #start(): Worker {
    const worker = startWorker(new URL('./reading.worker.ts', import.meta.url), { workerData: this.#options });
    worker.on('message', (message: FromReading) => this.#settle(message));
    worker.on('error', error => this.#worker === worker && this.#end(error as Error));
    worker.on(
      'exit',
      () => this.#worker === worker && this.#end(new Error('the thread that reads requests has ended')),
    );
    worker.unref();
    return worker;
  }

  #settle(message: FromReading): void {
    const task = this.#current!;
    try {
      if ('previous' in message) {
        this.#worker!.postMessage({ before: task.dialogueOf(message.previous) } satisfies ToReading);
        return;
      }
      if ('work' in message) task.resolve(message.work);
      else if ('failed' in message) throw Object.assign(new Error(message.failed.message), message.failed);
      else throw revive(message.refused);
    } catch (error) {
      task.reject(error as Error);
    }
    this.#current = undefined;
    clearTimeout(this.#timer);
    this.#next();
  }

  /** The thread is of no more use: whoever is next gets a new one. */
  #end(error: Error): void {
    const [worker, task] = [this.#worker, this.#current];
    this.#worker = undefined;
    this.#current = undefined;
    clearTimeout(this.#timer);
    void worker?.terminate();
    task?.reject(error);
    this.#next();
  }
}

function noDialogue(): never {
  throw new Error('nothing is kept that a body of this kind goes on with');
}

/** Told to nobody, but counted. */
export function clientGone(): ApiError {
  return new ApiError(499, 'The client went away.', { code: 'client_gone' });
}

function revive({
  status,
  message,
  type,
  code,
  param,
}: Extract<FromReading, { refused: unknown }>['refused']): ApiError {
  return new ApiError(status, message, { type, code: code ?? undefined, param: param ?? undefined });
}
