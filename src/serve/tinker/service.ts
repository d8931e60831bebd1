import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LocalEngine, LocalSampler } from '../../engine/local/engine.ts';
import type { ForwardBackwardRequest } from '../../engine/tinker/messages.ts';
import type { LoraOptions } from '../../engine/types.ts';
import { Admission } from '../admission.ts';
import { ApiError } from '../apiError.ts';
import type { CreateModelBody, SampleBody } from './bodies.ts';
import { type CheckpointKind, Checkpoints, type SavedCheckpoint } from './checkpoints.ts';
import { Futures, type Result } from './futures.ts';
import { Repeats } from './repeats.ts';
import { Samplers } from './samplers.ts';
import { answerSample } from './sampling.ts';
import { type SamplingSession, SamplingSessions } from './samplingSessions.ts';
import type { ServedBase } from './servedBase.ts';
import { Sessions } from './sessions.ts';
import { loraFields, scored, TrainedModel } from './trainedModel.ts';
import { lossSpec, trainingData } from './trainingData.ts';
import { forwardResult, trainingResult } from './trainingResult.ts';

export interface ServiceOptions {
  engine: LocalEngine;
  bases: readonly ServedBase[];
  /** Where models are saved. */
  stateFolder: string;
  /** Most sequences that are sampled, scored or wait for it. */
  maxSequences: number;
  /** Most bytes of training data that wait. */
  maxWaitingBytes: number;
  /** A session that is silent for so long has lost its client: its models are freed. */
  sessionTimeoutMs: number;
  onError: (error: Error) => void;
}

/** What the requests of the Tinker API do: sessions, the models that they train, and what they sample from. */
export class TinkerService {
  readonly bases: readonly ServedBase[];
  readonly checkpoints: Checkpoints;
  readonly futures: Futures;
  readonly admission: Admission;
  readonly #options: ServiceOptions;
  readonly #samplers: Samplers;
  readonly #sessions = new Sessions();
  readonly #models = new Map<string, { sessionId: string; model: TrainedModel }>();
  readonly #samplings = new SamplingSessions();
  readonly #sweep: NodeJS.Timeout;
  #waitingBytes = 0;

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.bases = options.bases;
    this.checkpoints = new Checkpoints(options.stateFolder);
    this.futures = new Futures(options.onError);
    this.admission = new Admission(options.maxSequences);
    this.#samplers = new Samplers(options.engine);
    this.#sweep = setInterval(() => this.#endSilent(), Math.min(options.sessionTimeoutMs / 2, 10_000)).unref();
  }

  createSession(): string {
    return this.#sessions.create();
  }

  heartbeat(sessionId: string): void {
    this.#sessions.heard(sessionId);
  }

  /** Makes a copy of a model to be trained, or adapters over it; the SDK knows its name beforehand, from the session and the number. */
  createModel(request: CreateModelBody, body: Uint8Array): string {
    const { session_id, base_model, model_seq_id, lora_config } = request;
    const base = this.base(base_model);
    const number = model_seq_id ?? undefined;
    return this.#sessions.find(session_id).models.once(number, body, () => {
      const model = this.#open(session_id, base, lora_config ?? undefined, number);
      return this.#begin(model.opened(), () => ({
        type: 'create_model',
        model_id: model.id,
        base_model: base.name,
        ...loraFields(model.lora),
      }));
    });
  }

  /** Makes a model of what one was saved as. */
  createFrom(path: string, sessionId: string, number: number, optimizer: boolean, body: Uint8Array): string {
    const { base_model, lora } = this.checkpoints.originOf(this.checkpoints.find(path));
    const base = this.base(base_model);
    return this.#sessions.find(sessionId).models.once(number, body, () => {
      const model = this.#open(sessionId, base, lora, number);
      return this.#begin(this.load(model, path, optimizer), () => ({ type: 'load_weights', path, model_id: model.id }));
    });
  }

  model(id: string): TrainedModel {
    const found = this.#models.get(id);
    if (!found) {
      throw new ApiError(
        404,
        `There is no model ${JSON.stringify(id)}: the server was restarted, or its session ended.`,
      );
    }
    this.heartbeat(found.sessionId);
    return found.model;
  }

  /** Adds gradients to a model's; with `forward_only`, tells what it thinks of the data. */
  train(request: ForwardBackwardRequest, body: Uint8Array): string {
    const model = this.model(request.modelId);
    return model.repeats.once(request.seqId || undefined, body, () => {
      const loss = lossSpec(request);
      const data = trainingData(request, model.base.config);
      const work = async () =>
        request.forwardOnly
          ? forwardResult(data, loss, await model.forward(data))
          : trainingResult(await model.forwardBackward(data, loss));
      return this.#beginLarge(body, work);
    });
  }

  /** What a sampling session's weights think of sequences, all in one pass: `forward_only` where nothing is trained. */
  score(request: ForwardBackwardRequest, body: Uint8Array): string {
    const { base, from, repeats } = this.#sampling(request.modelId);
    return repeats.once(request.seqId, body, () => {
      const loss = lossSpec(request);
      const data = trainingData(request, base.config);
      const score = (sampler: LocalSampler) => sampler.score(data.map(scored));
      const work = async () => {
        const scores = 'model' in from ? await from.model.sample(score) : await this.#samplers.use(from.folder, score);
        return forwardResult(data, loss, scores);
      };
      return this.#beginLarge(body, work);
    });
  }

  /** Does something with a model, after what was asked before. @returns the id of its future */
  ask<T>(
    modelId: string,
    number: number | null | undefined,
    body: Uint8Array,
    work: (model: TrainedModel) => Promise<T>,
    told: (value: T) => object,
  ): string {
    const model = this.model(modelId);
    return model.repeats.once(number ?? undefined, body, () => {
      this.futures.refuseFull();
      return this.#begin(work(model), told);
    });
  }

  /** Writes a model's weights under a name of its own. */
  async save(model: TrainedModel, kind: CheckpointKind, name: string, overwrite: boolean): Promise<SavedCheckpoint> {
    const checkpoint = this.checkpoints.of(model.id, kind, name);
    await model.inTurn(trainer =>
      this.checkpoints.write(checkpoint, { base_model: model.base.name, lora: model.lora }, overwrite, folder =>
        trainer.save(folder, { optimizer: kind === 'weights' }),
      ),
    );
    await this.#samplers.forget(checkpoint.folder);
    return checkpoint;
  }

  async delete(path: string): Promise<void> {
    const checkpoint = this.checkpoints.find(path);
    this.checkpoints.delete(checkpoint);
    await this.#samplers.forget(checkpoint.folder);
  }

  /** Fills a model with saved weights, and its optimizer with what was saved beside them or, without `optimizer`, with nothing. */
  async load(model: TrainedModel, path: string, optimizer: boolean): Promise<void> {
    const { folder } = this.checkpoints.find(path);
    if (optimizer) return model.load(folder, true);
    const weights = mkdtempSync(join(tmpdir(), 'sod-weights-'));
    try {
      const ofTrainer = ['optimizer', 'trainer.json'];
      const names = readdirSync(folder).filter(name => !ofTrainer.includes(name));
      for (const name of names) symlinkSync(join(folder, name), join(weights, name));
      await model.load(weights, false);
    } finally {
      rmSync(weights, { recursive: true });
    }
  }

  /** @returns the id of a sampling session of the model's weights as they are when everything is done that was asked before */
  async sampleFrom(model: TrainedModel): Promise<string> {
    const version = await model.inTurn(async () => model.version);
    const { sessionId } = this.#models.get(model.id)!;
    return this.#samplings.add({ sessionId, base: model.base, from: { model, version }, repeats: new Repeats() });
  }

  createSampling(sessionId: string, source: { base_model?: string | null; model_path?: string | null }): string {
    this.heartbeat(sessionId);
    return this.#samplings.add(this.#samplingOf(sessionId, source));
  }

  /** What the weights of a sampling session began as. */
  sampledBase(id: string): ServedBase {
    return this.#samplings.find(id).base;
  }

  sample(request: SampleBody, body: Uint8Array): string {
    const sampling = request.sampling_session_id
      ? this.#sampling(request.sampling_session_id)
      : this.#samplingOf('', request);
    return sampling.repeats.once(request.seq_id ?? undefined, body, () => {
      const visit = this.admission.enter(request.num_samples);
      const { from, base } = sampling;
      const answer =
        'model' in from
          ? from.model.sample(sampler => answerSample(sampler, base, request))
          : this.#samplers.use(from.folder, sampler => answerSample(sampler, base, request));
      return this.futures.begin(answer.finally(visit.leave));
    });
  }

  async unload(modelId: string): Promise<void> {
    const model = this.model(modelId);
    this.#models.delete(modelId);
    this.#samplings.forgetWhere(({ from }) => 'model' in from && from.model === model);
    await model.free();
  }

  base(name: string): ServedBase {
    const base = this.bases.find(base => base.name === name);
    if (base) return base;
    const names = this.bases.map(({ name }) => name).join(', ');
    throw new ApiError(400, `There is no model ${JSON.stringify(name)} to start from; there are ${names}.`);
  }

  close(): void {
    clearInterval(this.#sweep);
  }

  /** @throws ApiError 429 where so much waits already that there is no memory for more */
  #beginLarge(body: Uint8Array, work: () => Promise<Result>): string {
    this.futures.refuseFull();
    if (this.#waitingBytes + body.length > this.#options.maxWaitingBytes) {
      throw new ApiError(429, `${this.#waitingBytes} bytes of data wait already; try again later.`);
    }
    this.#waitingBytes += body.length;
    const done = work().finally(() => {
      this.#waitingBytes -= body.length;
    });
    return this.futures.begin(done);
  }

  #open(sessionId: string, base: ServedBase, lora: LoraOptions | undefined, number: number | undefined): TrainedModel {
    const trainer = this.#samplers.makingRoom(() => this.#options.engine.trainer(base.folder, lora));
    const id = number === undefined ? `model_${randomUUID()}` : `${sessionId}:train:${number}`;
    const model = new TrainedModel(id, base, lora, trainer);
    this.#models.set(id, { sessionId, model });
    trainer.catch(() => this.#models.delete(id));
    return model;
  }

  #begin<T>(work: Promise<T>, told: (value: T) => object): string {
    return this.futures.begin(work.then((value): Result => ({ json: () => told(value) })));
  }

  #samplingOf(
    sessionId: string,
    { base_model, model_path }: Parameters<TinkerService['createSampling']>[1],
  ): SamplingSession {
    if (!base_model === !model_path) throw new ApiError(400, 'Give either base_model or model_path.');
    if (base_model) {
      const base = this.base(base_model);
      return { sessionId, base, from: { folder: base.folder }, repeats: new Repeats() };
    }
    const checkpoint = this.checkpoints.find(model_path!);
    const base = this.base(this.checkpoints.originOf(checkpoint).base_model);
    return { sessionId, base, from: { folder: checkpoint.folder }, repeats: new Repeats() };
  }

  #sampling(id: string): SamplingSession {
    const sampling = this.#samplings.find(id);
    const { from, sessionId } = sampling;
    if ('model' in from && from.model.version !== from.version) {
      throw new ApiError(
        400,
        'The weights of this sampling session have been updated: ask for others by save_weights_for_sampler, with a path to keep them.',
      );
    }
    this.heartbeat(sessionId);
    return sampling;
  }

  #endSilent(): void {
    for (const id of this.#sessions.silentSince(Date.now() - this.#options.sessionTimeoutMs)) {
      for (const [modelId, { sessionId }] of this.#models) {
        if (sessionId === id) this.unload(modelId).catch(this.#options.onError);
      }
      this.#samplings.forgetWhere(({ sessionId }) => sessionId === id);
      this.#sessions.end(id);
    }
  }
}
