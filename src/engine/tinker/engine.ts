import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../../documents.ts';
import { UserError } from '../../errors.ts';
import { currentFolder } from '../../files.ts';
import { parseConfig } from '../../model/config.ts';
import { modelName } from '../../modelName.ts';
import type { Engine, LoraOptions } from '../types.ts';
import { Connection, type ConnectionOptions, Unknown } from './connection.ts';
import { type DialectName, dialectNames, dialects, trainedLayers, trainedRank } from './dialect.ts';
import { future, jsonOf } from './futures.ts';
import { type ModelLimits, TinkerSampler } from './sampler.ts';
import { Sampling, type SamplingSession } from './sampling.ts';
import { TinkerTrainer } from './trainer.ts';

export interface TinkerEngineOptions extends ConnectionOptions {
  /** Needed where a server does not say what it is; `sod serve --tinker` does. */
  dialect?: DialectName;
  /** What the server calls models, by the names of their folders here. Default: the same. */
  models?: Record<string, string>;
  /** Of the adapter's first weights. Default 0. */
  seed?: number;
}

const capabilities = z.looseObject({
  server: z.string().optional(),
  supported_models: z.array(
    z.looseObject({ model_name: z.string(), max_context_length: z.int().positive().nullish() }),
  ),
});
const session = z.object({ session_id: z.string() });
const created = z.object({ model_id: z.string() });
const samplingSession = z.object({ sampling_session_id: z.string() });

const heartbeatMs = 10_000;
/** Versions of the API's SDK that this follows. */
const sdkVersion = '0.25.0';

/** An engine on a server that speaks the Tinker API: models live and compute there. */
export class TinkerEngine implements Engine {
  readonly dialect: DialectName;
  readonly #connection: Connection;
  readonly #options: TinkerEngineOptions;
  readonly #supported: z.output<typeof capabilities>['supported_models'];
  #session: Promise<string>;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #trainers: TinkerTrainer[] = [];
  #models = 0;
  #samplings = 0;

  private constructor(
    connection: Connection,
    options: TinkerEngineOptions,
    { server, supported_models }: z.output<typeof capabilities>,
    session: string,
  ) {
    this.#connection = connection;
    this.#options = options;
    this.#supported = supported_models;
    this.dialect = dialectOf(options, server);
    this.#session = Promise.resolve(session);
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs).unref();
  }

  /** @throws UserError where the server refuses, or is not there for too long */
  static async start(options: TinkerEngineOptions): Promise<TinkerEngine> {
    const connection = new Connection(options);
    const can = await connection.ask('get_server_capabilities', undefined, answer =>
      capabilities.parse(jsonOf(answer)),
    );
    dialectOf(options, can.server);
    return new TinkerEngine(connection, options, can, await openSession(connection));
  }

  async trainer(checkpoint: string, lora?: LoraOptions): Promise<TinkerTrainer> {
    const base = this.#nameOf(checkpoint);
    const trainer = await TinkerTrainer.create({
      connection: this.#connection,
      dialect: dialects[this.dialect],
      limits: this.#limits(checkpoint),
      checkpoint,
      create: () => this.#createModel(base, lora),
    });
    this.#trainers.push(trainer);
    return trainer;
  }

  scorer(checkpoint: string): Promise<TinkerSampler> {
    return this.sampler(checkpoint);
  }

  async sampler(checkpoint: string): Promise<TinkerSampler> {
    const base = this.#nameOf(checkpoint);
    const sampling = new Sampling(() => this.#openSampling(base));
    return new TinkerSampler(this.#connection, dialects[this.dialect], this.#limits(checkpoint), sampling);
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    await Promise.all(this.#trainers.map(trainer => trainer.unload()));
    this.#connection.close();
  }

  async #createModel(base: string, lora?: LoraOptions): Promise<string> {
    const { model_id } = await this.#inSession(session_id => {
      const request = {
        session_id,
        model_seq_id: this.#models++,
        base_model: base,
        lora_config: {
          rank: trainedRank(dialects[this.dialect], lora),
          seed: lora?.seed ?? this.#options.seed ?? 0,
          train_unembed: true,
          ...trainedLayers(lora),
        },
        type: 'create_model',
      };
      return future(this.#connection, 'create_model', request, answer => created.parse(jsonOf(answer)));
    });
    return model_id;
  }

  async #openSampling(base: string): Promise<SamplingSession> {
    const { sampling_session_id } = await this.#inSession(session_id => {
      const request = {
        session_id,
        sampling_session_seq_id: this.#samplings++,
        base_model: base,
        type: 'create_sampling_session',
      };
      return this.#connection.ask('create_sampling_session', request, answer => samplingSession.parse(jsonOf(answer)));
    });
    return { id: sampling_session_id, next: 0 };
  }

  /** Asks within the session; where the server has lost it, within a new one. */
  async #inSession<T>(ask: (session: string) => Promise<T>): Promise<T> {
    const session = this.#session;
    try {
      return await ask(await session);
    } catch (error) {
      if (!(error instanceof Unknown)) throw error;
      if (this.#session === session) this.#session = openSession(this.#connection);
      return ask(await this.#session);
    }
  }

  #beat(): void {
    const tell = (session_id: string) =>
      this.#connection.tell('session_heartbeat', { session_id, type: 'session_heartbeat' });
    this.#session.then(tell, () => {});
  }

  /** @throws UserError where the server has no such model */
  #nameOf(checkpoint: string): string {
    const here = modelName(checkpoint);
    const wanted = this.#options.models?.[here];
    const names = this.#supported.map(({ model_name }) => model_name);
    const name = wanted
      ? names.find(name => name === wanted)
      : names.find(name => name === checkpoint || modelName(name) === here);
    if (name) return name;
    throw new UserError(
      `${this.#connection.url} has no model ${wanted ?? here}, it has ${names.join(', ') || 'none'}: ` +
        `start it with ${checkpoint}, or say in engine.models what it calls it (engine: {models: {${here}: …}})`,
    );
  }

  #limits(checkpoint: string): ModelLimits {
    const base = this.#nameOf(checkpoint);
    const file = join(currentFolder(checkpoint), 'config.json');
    const { maxPositions } = parseConfig(readJson(file), file);
    const told = this.#supported.find(({ model_name }) => model_name === base)?.max_context_length;
    return { contextTokens: Math.min(maxPositions, told ?? Number.POSITIVE_INFINITY) };
  }
}

async function openSession(connection: Connection): Promise<string> {
  const request = { tags: [], user_metadata: {}, sdk_version: sdkVersion, type: 'create_session' };
  const { session_id } = await connection.ask('create_session', request, answer => session.parse(jsonOf(answer)));
  return session_id;
}

/** @throws UserError where nobody says what a server is */
function dialectOf({ dialect, url }: TinkerEngineOptions, server?: string): DialectName {
  if (dialect) return dialect;
  if (server === 'sod') return 'sod';
  if (/(^|\.)thinkingmachines\.(ai|dev)$/.test(new URL(url).hostname)) return 'tinker';
  throw new UserError(`${url} does not say what it is: set engine.dialect to one of ${dialectNames.join(', ')}`);
}
