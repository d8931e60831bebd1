import { z } from 'zod';
import { UserError } from '../../errors.ts';
import { ModelLost } from '../modelLost.ts';
import type {
  AdamParams,
  Datum,
  LossOutput,
  LossSpec,
  Sampler,
  SaveOptions,
  ScoredSequence,
  Scores,
  StepStats,
  Trainer,
} from '../types.ts';
import { type Answer, type Connection, Unknown } from './connection.ts';
import type { Dialect } from './dialect.ts';
import { jsonOf, result, submit } from './futures.ts';
import { bringHome } from './home.ts';
import { lossOutput, together } from './lossOutput.ts';
import { forwardBackwardRequest } from './messages.ts';
import { type ModelLimits, TinkerSampler } from './sampler.ts';
import { Sampling, type SamplingSession } from './sampling.ts';
import { deletionRoute, placeIn, readPlace, writePlace } from './savedPlace.ts';
import { divide, wireDatum, wireLoss } from './trainingData.ts';

export interface TrainerOptions {
  connection: Connection;
  dialect: Dialect;
  limits: ModelLimits;
  /** Folder of the model here, from which the server starts as well. */
  checkpoint: string;
  /** Makes a fresh copy of the model on the server. @returns its id */
  create: () => Promise<string>;
}

const path = z.object({ path: z.string() });
const samplingSession = z.object({ sampling_session_id: z.string() });
const stepped = z.object({ metrics: z.record(z.string(), z.number().nullable()).nullable() });
const loaded = z.object({ type: z.literal('load_weights') });

/**
 * A model that a server trains. What changes it goes there in order and under growing numbers, so that a request that is sent
 * twice is done once.
 */
export class TinkerTrainer implements Trainer {
  readonly #options: TrainerOptions;
  readonly #sampler: TinkerSampler;
  #model: string;
  #number = 0;
  #lastSent: Promise<unknown> = Promise.resolve();
  /** When all is done that was asked. */
  #settled: Promise<unknown> = Promise.resolve();
  /** Updates made. */
  #version = 0;
  #samplings = 0;
  /** Of the weights as they are. */
  readonly #sampling = new Sampling(() => this.#openSampling());

  private constructor(options: TrainerOptions, model: string) {
    const { connection, dialect, limits } = options;
    this.#options = options;
    this.#model = model;
    this.#sampler = new TinkerSampler(connection, dialect, limits, this.#sampling);
  }

  static async create(options: TrainerOptions): Promise<TinkerTrainer> {
    return new TinkerTrainer(options, await options.create());
  }

  get model(): string {
    return this.#model;
  }

  async forwardBackward(data: Datum[], loss: LossSpec): Promise<LossOutput> {
    const { dialect } = this.#options;
    const parts = divide(data, dialect).map(part => this.#learn(part, loss, data.length));
    return together(await Promise.all(parts));
  }

  async optimStep({ learningRate, betas, epsilon, weightDecay, clipNorm }: AdamParams): Promise<StepStats> {
    const adam_params = {
      learning_rate: learningRate,
      beta1: betas[0],
      beta2: betas[1],
      eps: epsilon,
      weight_decay: weightDecay,
      grad_clip_norm: clipNorm,
    };
    const told = await this.#ask('optim_step', { adam_params }, stepped);
    this.#sampling.end();
    this.#version++;
    const norms = Object.entries(told.metrics ?? {}).filter(([name]) => /grad_norm/.test(name));
    return { gradNorm: norms[0]?.[1] ?? Number.NaN, version: this.#version };
  }

  score(sequences: ScoredSequence[]): Promise<Scores[]> {
    return this.#sampler.score(sequences);
  }

  async sampler(): Promise<Sampler> {
    return this.#sampler;
  }

  /** With `optimizer`, the server keeps what is needed to go on, and `dir` says where; without, the weights come to `dir`. */
  async save(dir: string, options: SaveOptions = {}): Promise<void> {
    const { connection, checkpoint } = this.#options;
    const name = `update-${this.#version}`;
    if (!options.optimizer) {
      const saved = await this.#ask('save_weights_for_sampler', { path: name }, path);
      await bringHome(connection, saved.path, checkpoint, dir);
      await connection.delete(deletionRoute(saved.path));
      return;
    }
    const saved = await this.#ask('save_weights', { path: name, overwrite: true }, path);
    writePlace(dir, { url: connection.url, path: saved.path, version: this.#version });
  }

  /** @param dir where a checkpoint's place is kept, or the folder of the model that it began with */
  async load(dir: string, { optimizer = false }: { optimizer?: boolean } = {}): Promise<void> {
    const place = dir === this.#options.checkpoint ? undefined : readPlace(dir);
    // Many servers load only into a model that has done nothing yet.
    if (this.#number > 0) await this.#createAgain();
    if (place) await this.#loadFrom(place.path, optimizer);
    this.#version = place?.version ?? 0;
    this.#sampling.end();
  }

  async discard(dir: string): Promise<void> {
    const place = placeIn(dir);
    if (place) await this.#options.connection.delete(deletionRoute(place.path));
  }

  /** Gives the server its memory back; one that cannot be reached finds out by itself. */
  async unload(): Promise<void> {
    await this.#options.connection.tell('unload_model', { model_id: this.#model, type: 'unload_model' });
  }

  async #createAgain(): Promise<void> {
    await this.#settled;
    await this.unload();
    this.#model = await this.#options.create();
    this.#number = 0;
  }

  /** @throws UserError where the server knows the model, and no such checkpoint */
  async #loadFrom(path: string, optimizer: boolean): Promise<void> {
    try {
      await this.#ask('load_weights', { path, optimizer }, loaded);
    } catch (error) {
      if (error instanceof ModelLost && (await this.#isKnown())) throw new UserError(error.reason);
      throw error;
    }
  }

  #isKnown(): Promise<boolean> {
    const { connection } = this.#options;
    return connection
      .ask('get_info', { model_id: this.#model, type: 'get_info' }, () => true)
      .catch(error => {
        if (error instanceof Unknown) return false;
        throw error;
      });
  }

  async #openSampling(): Promise<SamplingSession> {
    const request = { sampling_session_seq_id: this.#samplings++ };
    const session = await this.#ask('save_weights_for_sampler', request, samplingSession);
    return { id: session.sampling_session_id, next: 0 };
  }

  async #learn(data: Datum[], loss: LossSpec, sequences: number): Promise<LossOutput> {
    const { connection, dialect } = this.#options;
    const request = (number: number) =>
      forwardBackwardRequest.encode({
        modelId: this.#model,
        seqId: number,
        data: data.map(datum => wireDatum(datum, loss, dialect, sequences)),
        ...wireLoss(loss, dialect),
      });
    return this.#inOrder('forward_backward', request, answer => lossOutput(data, loss, answer, connection.url));
  }

  #ask<T>(type: string, body: object, schema: z.ZodType<T>): Promise<T> {
    const request = (seq_id: number) => ({ model_id: this.#model, seq_id, type, ...body });
    return this.#inOrder(type, request, answer => schema.parse(jsonOf(answer)));
  }

  /** Sends a request when the server has taken on the one before, without waiting for what that comes to. */
  #inOrder<T>(path: string, request: (number: number) => object | Uint8Array, read: (answer: Answer) => T): Promise<T> {
    const { connection } = this.#options;
    const body = request(++this.#number);
    const again = () => submit(connection, path, body);
    const sent = this.#lastSent.then(again);
    this.#lastSent = sent.catch(() => {});
    const done = sent
      .then(id => result(connection, id, again, read))
      .catch(error => {
        throw error instanceof Unknown ? new ModelLost(error.message) : error;
      });
    this.#settled = Promise.allSettled([this.#settled, done]).then(() => {});
    return done;
  }
}
