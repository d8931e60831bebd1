import type { EventLoopUtilization } from 'node:perf_hooks';
import type { Worker } from 'node:worker_threads';
import { UserError } from '../../errors.ts';
import { SystemRefusal } from '../../systemErrors.ts';
import { startWorker, ThreadError } from '../../worker.ts';
import type {
  AdamParams,
  Completion,
  Conversation,
  Datum,
  Engine,
  LoraOptions,
  LossOutput,
  LossSpec,
  RankedToken,
  SampledToken,
  Sampler,
  SamplingOptions,
  SaveOptions,
  ScoredSequence,
  Scorer,
  Scores,
  StepStats,
  TokenIds,
  Trainer,
} from '../types.ts';
import type { FromWorker, OpenRequest, Request, SamplerStatus, ToWorker, WorkerOptions } from './protocol.ts';
import { type Settings, settled } from './settings.ts';

export interface LocalEngineOptions extends Partial<WorkerOptions> {
  /** Told what the engine chose for each model that it opens: precision, threads, memory. */
  onNotice?: (notice: string) => void;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
  onToken?: (token: SampledToken) => void;
}

/** The engine on this machine's CPU or GPU: models live and compute in one worker thread, so the event loop stays free. */
export class LocalEngine implements Engine {
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

  private constructor(options: Settings, onNotice?: (notice: string) => void) {
    this.#worker = startWorker(new URL('./engine.worker.ts', import.meta.url), { workerData: options });
    this.#hasGpu = options.device === 'gpu';
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

  static async start({ onNotice, ...options }: LocalEngineOptions = {}): Promise<LocalEngine> {
    return new LocalEngine(settled(options), onNotice);
  }

  async trainer(checkpoint: string, lora?: LoraOptions): Promise<LocalTrainer> {
    return new LocalTrainer(this, await this.#load({ checkpoint, trainable: true, lora }));
  }

  async scorer(checkpoint: string): Promise<Scorer> {
    const model = await this.#load({ checkpoint, trainable: false, scoresOnly: true });
    return { score: (sequences, alternatives) => this.call({ kind: 'score', model, sequences, alternatives }) };
  }

  /**
   * @param shared whether samplers of adapters over it, which are opened after it, are to take its weights: what they sample is
   * then sampled in one batch
   */
  async sampler(checkpoint: string, { shared = false } = {}): Promise<LocalSampler> {
    return new LocalSampler(this, await this.#load({ checkpoint, trainable: false, shared }));
  }

  /**
   * How busy the engine's thread was: `utilization` is 1 where it computed all the time.
   * @param since an earlier answer, to ask for the time from there; without it, since the start
   */
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

  #load(what: Omit<OpenRequest, 'kind'>): Promise<number> {
    return this.call({ kind: 'open', ...what });
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

/** A policy of this machine that also scores: one copy of the weights for both. */
export class LocalSampler implements Sampler, Scorer {
  readonly #engine: LocalEngine;
  readonly #model: number;

  constructor(engine: LocalEngine, model: number) {
    this.#engine = engine;
    this.#model = model;
  }

  generate(
    prompt: TokenIds,
    options: SamplingOptions,
    signal?: AbortSignal,
    onToken?: (token: SampledToken) => void,
  ): Promise<Completion> {
    const told = onToken !== undefined;
    return this.#engine.call({ kind: 'generate', model: this.#model, prompt, options, told }, signal, onToken);
  }

  score(sequences: ScoredSequence[], alternatives?: number): Promise<Scores[]> {
    return this.#engine.call({ kind: 'score', model: this.#model, sequences, alternatives });
  }

  /** Every token but the first among all that could have come in its place, with so many of those. */
  async rank(tokens: TokenIds, alternatives: number, signal?: AbortSignal): Promise<RankedToken[]> {
    const { prompt } = await this.generate(tokens, { maxTokens: 0, rankPrompt: alternatives }, signal);
    return prompt!;
  }

  status(): Promise<SamplerStatus> {
    return this.#engine.call({ kind: 'status', model: this.#model });
  }

  async open(prompt: TokenIds): Promise<Conversation> {
    return new LocalConversation(this.#engine, this.#model, prompt);
  }

  /** Frees its model, which nobody may be using any more. */
  free(): Promise<void> {
    return this.#engine.call({ kind: 'free', model: this.#model });
  }
}

/** Only tokens: the engine finds their keys and values again in its page cache. */
class LocalConversation implements Conversation {
  readonly #engine: LocalEngine;
  readonly #model: number;
  readonly #id: number;
  readonly #tokens: number[];

  constructor(engine: LocalEngine, model: number, prompt: TokenIds) {
    this.#engine = engine;
    this.#model = model;
    this.#id = engine.newId();
    this.#tokens = [...prompt];
  }

  async generate(
    options: SamplingOptions,
    signal?: AbortSignal,
    onToken?: (token: SampledToken) => void,
  ): Promise<Completion> {
    const [model, prompt, conversation, told] = [this.#model, this.#tokens, this.#id, onToken !== undefined];
    const completion = await this.#engine.call<Completion>(
      { kind: 'generate', model, prompt, options, conversation, told },
      signal,
      onToken,
    );
    this.append(completion.tokens);
    return completion;
  }

  append(tokens: TokenIds): void {
    for (const token of tokens) this.#tokens.push(token);
  }

  close(): void {
    this.#tokens.length = 0;
    this.#engine.send({ closed: this.#id });
  }
}

export class LocalTrainer implements Trainer {
  readonly #engine: LocalEngine;
  readonly #model: number;

  constructor(engine: LocalEngine, model: number) {
    this.#engine = engine;
    this.#model = model;
  }

  forwardBackward(data: Datum[], loss: LossSpec): Promise<LossOutput> {
    return this.#engine.call({ kind: 'forwardBackward', model: this.#model, data, loss });
  }

  optimStep(adam: AdamParams): Promise<StepStats> {
    return this.#engine.call({ kind: 'optimStep', model: this.#model, adam });
  }

  /** One for all: whoever has it samples from the weights as they are. */
  async sampler(): Promise<LocalSampler> {
    return new LocalSampler(this.#engine, this.#model);
  }

  score(sequences: ScoredSequence[], alternatives?: number): Promise<Scores[]> {
    return this.#engine.call({ kind: 'score', model: this.#model, sequences, alternatives });
  }

  save(dir: string, options: SaveOptions = {}): Promise<void> {
    return this.#engine.call({ kind: 'save', model: this.#model, dir, options });
  }

  load(dir: string, options: { optimizer?: boolean } = {}): Promise<void> {
    return this.#engine.call({ kind: 'load', model: this.#model, dir, optimizer: options.optimizer ?? false });
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
