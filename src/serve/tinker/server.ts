import { LocalEngine, type LocalEngineOptions } from '../../engine/local/engine.ts';
import { UserError } from '../../errors.ts';
import { listen } from '../listen.ts';
import { createTinkerApp } from './app.ts';
import { servedBase } from './servedBase.ts';
import { TinkerService } from './service.ts';

export interface TinkerServeOptions {
  /** Folders of the models that clients may train and sample from; each is called as its folder or run. */
  checkpoints: readonly string[];
  /** Where what clients save is kept. */
  stateFolder: string;
  /** Default 127.0.0.1: this machine alone. */
  host?: string;
  /** 0: any that is free. Default 8000. */
  port?: number;
  apiKey?: string;
  /** Origins whose web pages may ask; `*`: all. Default: those of this machine. */
  allowOrigins?: readonly string[];
  /** Longest body of a request. Default 128 MiB; training data may wait in four times as much. */
  maxBodyBytes?: number;
  /** Most sequences that wait beside those that are sampled. Default 1024. */
  maxQueue?: number;
  /** A session that is silent for so long has lost its client: its models are freed. Default 5 minutes. */
  sessionTimeoutMs?: number;
  engine?: LocalEngineOptions;
  onError?: (error: Error) => void;
}

export interface RunningTinkerServer {
  url: string;
  /** What clients may start from. */
  models: string[];
  /** Ends what is under way and frees everything. */
  close(): Promise<void>;
}

/**
 * Serves the local engine by the Tinker API until it is closed: clients train adapters over the models, or all weights of copies of
 * their own.
 * @throws UserError where a folder holds no model, two have one name, or the address cannot be taken.
 */
export async function serveTinker(options: TinkerServeOptions): Promise<RunningTinkerServer> {
  const bases = options.checkpoints.map(folder => servedBase(folder, options.engine ?? {}));
  const models = bases.map(({ name }) => name);
  const twice = models.find((name, i) => models.indexOf(name) !== i);
  if (twice !== undefined) throw new UserError(`two models are called ${twice}; rename the folder of one`);
  const engine = await LocalEngine.start({ ...options.engine, serving: true });
  const maxBodyBytes = options.maxBodyBytes ?? 128 * 2 ** 20;
  let isClosing = false;
  const onError = (error: Error) => {
    if (!isClosing) (options.onError ?? console.error)(error);
  };
  const service = new TinkerService({
    engine,
    bases,
    stateFolder: options.stateFolder,
    maxSequences: (options.engine?.maxBatch ?? 64) + (options.maxQueue ?? 1024),
    maxWaitingBytes: 4 * maxBodyBytes,
    sessionTimeoutMs: options.sessionTimeoutMs ?? 300_000,
    onError,
  });
  const host = options.host ?? '127.0.0.1';
  const app = createTinkerApp({
    service,
    apiKey: options.apiKey,
    allowOrigins: options.allowOrigins ?? [],
    host,
    maxBodyBytes,
    onError,
  });
  try {
    const { server, url } = await listen(app.fetch, host, options.port ?? 8000, (_, detail) => ({ detail }));
    return {
      url,
      models,
      async close() {
        isClosing = true;
        const closed = new Promise(resolve => server.close(resolve));
        server.closeAllConnections();
        await closed;
        service.close();
        await engine.close();
      },
    };
  } catch (error) {
    service.close();
    await engine.close();
    throw error;
  }
}
