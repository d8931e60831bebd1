import type { EventLoopUtilization } from 'node:perf_hooks';
import { readShape } from '../../checkpoint/shape.ts';
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
import { EngineThread } from './engineThread.ts';
import type { OpenRequest, SamplerStatus, WorkerOptions } from './protocol.ts';
import { settled } from './settings.ts';

export interface LocalEngineOptions extends Partial<WorkerOptions> {
  /** Told what the engine chose for each model that it opens: device, precision, threads, memory. */
  onNotice?: (notice: string) => void;
}

/**
 * The engine on this machine's CPU or GPU: models live and compute in one thread, so the event loop stays free. It starts with the first
 * model, by which `auto` chooses the device.
 */
export class LocalEngine implements Engine {
  readonly #options: LocalEngineOptions;
  #thread?: EngineThread;
  #isClosed = false;

  private constructor(options: LocalEngineOptions) {
    this.#options = options;
  }

  /** @throws UserError where a device cannot do what is asked of it */
  static async start(options: LocalEngineOptions = {}): Promise<LocalEngine> {
    settled(options);
    return new LocalEngine(options);
  }

  async trainer(checkpoint: string, lora?: LoraOptions): Promise<LocalTrainer> {
    return new LocalTrainer(...(await this.#load({ checkpoint, trainable: true, lora })));
  }

  async scorer(checkpoint: string): Promise<Scorer> {
    const [thread, model] = await this.#load({ checkpoint, trainable: false, scoresOnly: true });
    return { score: (sequences, alternatives) => thread.call({ kind: 'score', model, sequences, alternatives }) };
  }

  /**
   * @param shared whether samplers of adapters over it, which are opened after it, are to take its weights: what they sample is
   * then sampled in one batch
   */
  async sampler(checkpoint: string, { shared = false } = {}): Promise<LocalSampler> {
    return new LocalSampler(...(await this.#load({ checkpoint, trainable: false, shared })));
  }

  /**
   * How busy the engine's thread was: `utilization` is 1 where it computed all the time.
   * @param since an earlier answer, to ask for the time from there; without it, since the start
   */
  utilization(since?: EventLoopUtilization): EventLoopUtilization {
    return this.#thread?.utilization(since) ?? { idle: 0, active: 0, utilization: 0 };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#thread?.close();
  }

  async #load(what: Omit<OpenRequest, 'kind'>): Promise<[thread: EngineThread, model: number]> {
    const thread = this.#started(what.checkpoint);
    return [thread, await thread.call<number>({ kind: 'open', ...what })];
  }

  #started(checkpoint: string): EngineThread {
    if (this.#isClosed) throw new Error('the engine was closed');
    const { onNotice, ...options } = this.#options;
    this.#thread ??= new EngineThread(settled(options, readShape(checkpoint)), onNotice);
    return this.#thread;
  }
}

/** A policy of this machine that also scores: one copy of the weights for both. */
export class LocalSampler implements Sampler, Scorer {
  readonly #thread: EngineThread;
  readonly #model: number;

  constructor(thread: EngineThread, model: number) {
    this.#thread = thread;
    this.#model = model;
  }

  generate(
    prompt: TokenIds,
    options: SamplingOptions,
    signal?: AbortSignal,
    onToken?: (token: SampledToken) => void,
  ): Promise<Completion> {
    const told = onToken !== undefined;
    return this.#thread.call({ kind: 'generate', model: this.#model, prompt, options, told }, signal, onToken);
  }

  score(sequences: ScoredSequence[], alternatives?: number): Promise<Scores[]> {
    return this.#thread.call({ kind: 'score', model: this.#model, sequences, alternatives });
  }

  /** Every token but the first among all that could have come in its place, with so many of those. */
  async rank(tokens: TokenIds, alternatives: number, signal?: AbortSignal): Promise<RankedToken[]> {
    const { prompt } = await this.generate(tokens, { maxTokens: 0, rankPrompt: alternatives }, signal);
    return prompt!;
  }

  status(): Promise<SamplerStatus> {
    return this.#thread.call({ kind: 'status', model: this.#model });
  }

  async open(prompt: TokenIds): Promise<Conversation> {
    return new LocalConversation(this.#thread, this.#model, prompt);
  }

  /** Frees its model, which nobody may be using any more. */
  free(): Promise<void> {
    return this.#thread.call({ kind: 'free', model: this.#model });
  }
}

/** Only tokens: the engine finds their keys and values again in its page cache. */
class LocalConversation implements Conversation {
  readonly #thread: EngineThread;
  readonly #model: number;
  readonly #id: number;
  readonly #tokens: number[];

  constructor(thread: EngineThread, model: number, prompt: TokenIds) {
    this.#thread = thread;
    this.#model = model;
    this.#id = thread.newId();
    this.#tokens = [...prompt];
  }

  async generate(
    options: SamplingOptions,
    signal?: AbortSignal,
    onToken?: (token: SampledToken) => void,
  ): Promise<Completion> {
    const [model, prompt, conversation, told] = [this.#model, this.#tokens, this.#id, onToken !== undefined];
    const completion = await this.#thread.call<Completion>(
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
    this.#thread.send({ closed: this.#id });
  }
}

export class LocalTrainer implements Trainer {
  readonly #thread: EngineThread;
  readonly #model: number;

  constructor(thread: EngineThread, model: number) {
    this.#thread = thread;
    this.#model = model;
  }

  forwardBackward(data: Datum[], loss: LossSpec): Promise<LossOutput> {
    return this.#thread.call({ kind: 'forwardBackward', model: this.#model, data, loss });
  }

  optimStep(adam: AdamParams): Promise<StepStats> {
    return this.#thread.call({ kind: 'optimStep', model: this.#model, adam });
  }

  /** One for all: whoever has it samples from the weights as they are. */
  async sampler(): Promise<LocalSampler> {
    return new LocalSampler(this.#thread, this.#model);
  }

  score(sequences: ScoredSequence[], alternatives?: number): Promise<Scores[]> {
    return this.#thread.call({ kind: 'score', model: this.#model, sequences, alternatives });
  }

  save(dir: string, options: SaveOptions = {}): Promise<void> {
    return this.#thread.call({ kind: 'save', model: this.#model, dir, options });
  }

  load(dir: string, options: { optimizer?: boolean } = {}): Promise<void> {
    return this.#thread.call({ kind: 'load', model: this.#model, dir, optimizer: options.optimizer ?? false });
  }
}
