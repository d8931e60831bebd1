import type { EventLoopUtilization } from 'node:perf_hooks';
import type { Worker } from 'node:worker_threads';
import { UserError } from '../../errors.ts';
import { SystemRefusal } from '../../systemErrors.ts';
import { startWorker, ThreadError } from '../../worker.ts';
import type { SampledToken } from '../types.ts';
import type { FromWorker, Request, ToWorker } from './protocol.ts';
import type { Settings } from './settings.ts';

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
  onToken?: (token: SampledToken) => void;
}

/** The worker thread that has the engine's models, and what it was asked and has not answered yet. */
export class EngineThread {
  readonly #worker: Worker;
  readonly #open = new Map<number, Pending>();
  #nextId = 0;
  #closed: Error | undefined;
  readonly #hasGpu: boolean;
  /** By whoever closes the GPU, or by the end of its thread. */
  #gpuClosed = () => {};
  readonly #untilGpuClosed = new Promise<void>(resolve => {
    this.#gpuClosed = resolve;
  });

  constructor(settings: Settings, onNotice?: (notice: string) => void) {
    this.#worker = startWorker(new URL('./engine.worker.ts', import.meta.url), { workerData: settings });
    this.#hasGpu = settings.device === 'gpu';
    let hasStarted = false;
    const failure = (cause?: Error) => new ThreadError("The engine's thread", { hasStarted, cause });
    this.#worker.on('message', (message: FromWorker) => {
      hasStarted = true;
      if ('notice' in message) onNotice?.(message.notice);
      else if ('gpuClosed' in message) this.#gpuClosed();
      else if ('told' in message) for (const { id, token } of message.told) this.#open.get(id)?.onToken?.(token);
      else this.#settle(message);
    });
    this.#worker.on('error', error => {
      const cause = revive(error as Error);
      this.#end(cause instanceof UserError ? cause : failure(cause));
    });
    this.#worker.on('exit', () => {
      this.#gpuClosed();
      this.#end(failure());
    });
    this.#worker.unref();
  }

  utilization(since?: EventLoopUtilization): EventLoopUtilization {
    return this.#worker.performance.eventLoopUtilization(since);
  }

  async close(): Promise<void> {
    this.#end(new Error('the engine was closed'));
    if (this.#hasGpu) {
      this.#worker.ref();
      this.send({ closeGpu: true });
      await this.#untilGpuClosed;
    }
    await this.#worker.terminate();
  }

  newId(): number {
    return this.#nextId++;
  }

  /** Sends what is not answered. */
  send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  /** Sends one request to the worker; an abort rejects at once and tells the worker. */
  call<T>(request: Request, signal?: AbortSignal, onToken?: (token: SampledToken) => void): Promise<T> {
    if (this.#closed) return Promise.reject(this.#closed);
    if (signal?.aborted) return Promise.reject(abortError());
    const id = this.newId();
    return new Promise<T>((resolve, reject) => {
      const onAbort = () => {
        this.send({ abort: id });
        this.#take(id)?.reject(abortError());
      };
      const settled =
        <V>(settle: (value: V) => void) =>
        (value: V) => {
          signal?.removeEventListener('abort', onAbort);
          settle(value);
        };
      signal?.addEventListener('abort', onAbort, { once: true });
      if (this.#open.size === 0) this.#worker.ref();
      this.#open.set(id, { resolve: settled(resolve) as (value: unknown) => void, reject: settled(reject), onToken });
      this.send({ id, request });
    });
  }

  /** A request leaves the list; while none is open, the worker does not keep the process alive. */
  #take(id: number) {
    const request = this.#open.get(id);
    this.#open.delete(id);
    if (request && this.#open.size === 0) this.#worker.unref();
    return request;
  }

  #settle(message: Extract<FromWorker, { id: number }>): void {
    const request = this.#take(message.id);
    if ('error' in message) request?.reject(revive(message.error));
    else request?.resolve(message.value);
  }

  #end(error: Error): void {
    this.#closed ??= error;
    for (const id of [...this.#open.keys()]) this.#take(id)?.reject(this.#closed);
  }
}

function abortError(): Error {
  return new DOMException('The operation was aborted', 'AbortError');
}

function revive({ name, message, stack }: { name: string; message: string; stack?: string }): Error {
  if (name === 'UserError') return new UserError(message);
  if (name === 'SystemRefusal') return new SystemRefusal(message);
  if (name === 'AbortError') return abortError();
  return Object.assign(new Error(message), { name, stack });
}
