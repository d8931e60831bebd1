import type { Agent } from '../agent/agent.ts';
import { configOf } from '../checkpoint/checkpoint.ts';
import { LocalEngine, type LocalEngineOptions } from '../engine/local/engine.ts';
import { UserError } from '../errors.ts';
import { modelName } from '../modelName.ts';
import { loadChats } from '../text/loadChat.ts';
import { readVocabulary } from '../text/vocabulary.ts';
import { type NamedAdapter, openAdapters, refuseAdapters } from './adapters.ts';
import { Admission } from './admission.ts';
import { ApiError } from './apiError.ts';
import { createApp } from './app.ts';
import { listen } from './listen.ts';
import { ServerMetrics } from './metrics.ts';
import { NewWeights } from './newWeights.ts';
import { ReadingThread } from './readingThread.ts';
import { outlineOf } from './responses/agent.ts';
import { KeptResponses } from './responses/kept.ts';
import { ServedModel } from './servedModel.ts';

export interface ServeOptions {
  checkpoint: string;
  /** What clients call the model. Default: the name of its folder or run. */
  name?: string;
  /** Default 127.0.0.1: this machine alone. */
  host?: string;
  /** 0: any that is free. Default 8000. */
  port?: number;
  apiKey?: string;
  /** Origins, such as `https://example.org`, whose web pages may ask; `*`: all. Default: those of this machine. */
  allowOrigins?: readonly string[];
  /** Longest body of a request. Default 1 MiB. */
  maxBodyBytes?: number;
  /** Most sequences that wait beside those that are sampled. Default 256. */
  maxQueue?: number;
  /** Most tokens of a prompt and its answer. Default: what the model and the cache take. */
  maxContext?: number;
  /** Folder from which clients may have the weights replaced. Default: they may not. */
  weightsFrom?: string;
  /** Adapters over the checkpoint, as models beside it: its weights are there once, and all are sampled in one batch. */
  lora?: readonly NamedAdapter[];
  /** What answers `/v1/responses` with tools of its own, which the caller closes. Default: the model alone. */
  agent?: Agent;
  /** Most turns of one answer of it: calls, and what is said behind the last of them. Default 16. */
  maxTurns?: number;
  engine?: LocalEngineOptions;
  onError?: (error: Error) => void;
}

export interface RunningServer {
  url: string;
  model: string;
  /** The names of the adapters over it. */
  adapters: readonly string[];
  /** The names of the tools that run here. */
  tools: readonly string[];
  /** Most tokens of a prompt and its answer. */
  contextTokens: number;
  /** Lets nobody in any more, gives answers under way so much time, then ends them and frees everything. */
  close(graceMs?: number): Promise<void>;
}

const defaultBodyBytes = 1 << 20;
/**
 * Serves a checkpoint by OpenAI's API until it is closed.
 * @throws UserError where the checkpoint or an adapter cannot be loaded or the address not be taken.
 */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const engine = await LocalEngine.start({ ...options.engine, serving: true });
  let reading: ReadingThread | undefined;
  const kept = new KeptResponses();
  const free = async () => {
    kept.close();
    await reading?.close();
    await engine.close();
  };
  try {
    const { model, config } = await openModel(engine, options);
    const { contextTokens } = model;
    const { checkpoint, weightsFrom, agent } = options;
    const adapters = await openAdapters(engine, model, options.lora ?? []);
    const models = [model, ...adapters];
    const names = models.map(({ name }) => name);
    const outline = agent && (await outlineOf(agent));
    const { vocabSize: vocabularySize } = config;
    reading = new ReadingThread({ checkpoint, names, contextTokens, vocabularySize, agent: outline });
    const maxBatch = options.engine?.maxBatch ?? 64;
    const admission = new Admission(maxBatch + (options.maxQueue ?? 256));
    const host = options.host ?? '127.0.0.1';
    const app = createApp({
      models,
      reading,
      admission,
      metrics: new ServerMetrics(() => model.sampler.status()),
      responses: { agent, origins: outline?.origins ?? new Map(), kept, maxTurns: options.maxTurns ?? 16 },
      newWeights: weightsFrom ? new NewWeights({ engine, model, config, admission, folder: weightsFrom }) : undefined,
      apiKey: options.apiKey,
      allowOrigins: options.allowOrigins ?? [],
      host,
      maxBodyBytes: options.maxBodyBytes ?? defaultBodyBytes,
      onError: options.onError ?? (error => console.error(error)),
    });
    const { server, url } = await listen(app.fetch, host, options.port ?? 8000, (status, message) => {
      return new ApiError(status, message).body;
    });
    return {
      url,
      model: model.name,
      adapters: adapters.map(({ name }) => name),
      tools: outline?.tools.map(tool => tool.function.name) ?? [],
      contextTokens,
      async close(graceMs = 10_000) {
        const closed = new Promise(resolve => server.close(resolve));
        server.closeIdleConnections();
        const timer = setTimeout(() => admission.endAll(), graceMs);
        await admission.close();
        clearTimeout(timer);
        // Time for the last bytes of the last answers, then keep-alive connections end.
        setTimeout(() => server.closeAllConnections(), 500).unref();
        await closed;
        await free();
      },
    };
  } catch (error) {
    await free();
    throw error;
  }
}

async function openModel(engine: LocalEngine, options: ServeOptions) {
  const { checkpoint, name = modelName(checkpoint), lora = [] } = options;
  const config = configOf(checkpoint);
  if (lora.length > 0 && options.weightsFrom !== undefined) {
    throw new UserError('where adapters are served, their base stays as it is: leave --weights-from or --lora away');
  }
  refuseAdapters({ name, checkpoint, config }, lora);
  const sampler = await engine.sampler(checkpoint, { shared: lora.length > 0 });
  const { cacheTokens } = await sampler.status();
  const model = new ServedModel({
    name,
    root: checkpoint,
    sampler,
    chats: loadChats(checkpoint),
    vocabulary: readVocabulary(checkpoint),
    contextTokens: Math.min(config.maxPositions, cacheTokens, options.maxContext ?? Number.POSITIVE_INFINITY),
  });
  return { model, config };
}
