import { createHash, timingSafeEqual } from 'node:crypto';
import { type Context, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { type ForwardBackwardRequest, forwardBackwardRequest, protobufType } from '../../engine/tinker/messages.ts';
import { ApiError } from '../apiError.ts';
import { keepOut } from '../origins.ts';
import { sizeLimit } from '../sizeLimit.ts';
import * as bodies from './bodies.ts';
import { readBody } from './bodies.ts';
import type { Outcome } from './futures.ts';
import type { TinkerService } from './service.ts';
import { loraFields } from './trainedModel.ts';

export interface TinkerAppOptions {
  service: TinkerService;
  /** Asked of every client, except for health. */
  apiKey?: string;
  allowOrigins: readonly string[];
  /** Of the address that is listened on, as it was given. */
  host: string;
  maxBodyBytes: number;
  onError: (error: Error) => void;
}

/** Shorter than clients wait, and than proxies keep a silent connection. */
const pollMs = 30_000;

/** The routes of the Tinker API. Training calls have protobuf bodies, all others JSON; results are in what the client accepts. */
export function createTinkerApp(options: TinkerAppOptions): Hono {
  const { service } = options;
  const app = new Hono().basePath('/api/v1');

  app.use(keepOut(options.allowOrigins, options.host, [protobufType]));
  app.get('/healthz', c => c.json({ status: 'ok' }));
  app.use(async (c, next) => {
    refuseStranger(options.apiKey, c.req.header('x-api-key'));
    await next();
  });

  const limit = sizeLimit(options.maxBodyBytes, () => {
    throw new ApiError(413, `The body has more than ${options.maxBodyBytes} bytes: send fewer sequences at once.`);
  });
  /** A request with a JSON body, answered at once. */
  const post = <T>(
    path: string,
    schema: Parameters<typeof readBody<T>>[0],
    answer: (body: T, bytes: Uint8Array) => object | Promise<object>,
  ) =>
    app.post(path, limit, async c => {
      const bytes = new Uint8Array(await c.req.arrayBuffer());
      return told(c, await answer(readBody(schema, bytes), bytes));
    });
  /** An answer; where it is a future and the client would rather wait, what it comes to, if that does not take too long. */
  const told = async (c: Context, answer: object) => {
    const waitMs = isPending(answer) ? preferredWaitMs(c.req.header('prefer')) : 0;
    const outcome = isPending(answer) && waitMs > 0 && (await service.futures.retrieve(answer.request_id, waitMs));
    return outcome ? settled(c, outcome) : c.json(answer);
  };

  app.post('/client/config', c => c.json({ pjwt_auth_enabled: false }));
  app.get('/get_server_capabilities', c =>
    c.json({
      server: 'sod',
      supported_models: service.bases.map(({ name, contextTokens }) => ({
        model_name: name,
        max_context_length: contextTokens,
      })),
    }),
  );
  app.post('/create_session', limit, c => c.json({ type: 'create_session', session_id: service.createSession() }));
  post('/session_heartbeat', bodies.sessionBody, ({ session_id }) => {
    service.heartbeat(session_id);
    return { type: 'session_heartbeat' };
  });
  app.post('/telemetry', limit, c => c.json({ status: 'accepted' }));

  post('/create_model', bodies.createModelBody, (body, bytes) => pending(service.createModel(body, bytes)));
  post('/get_info', bodies.modelBody, ({ model_id }) => {
    const { base, lora } = service.model(model_id);
    const { name, config } = base;
    const data = { arch: config.family.modelType, model_name: name, tokenizer_id: name };
    return { type: 'get_info', model_id, model_name: name, ...loraFields(lora), model_data: data };
  });
  post('/unload_model', bodies.modelBody, ({ model_id }, bytes) => {
    const unloaded = service.ask(
      model_id,
      undefined,
      bytes,
      () => service.unload(model_id),
      () => ({ type: 'unload_model', model_id }),
    );
    return { ...pending(unloaded), model_id };
  });

  app.post('/forward_backward', limit, async c => {
    if (c.req.header('content-type') !== protobufType) {
      throw new ApiError(415, `forward_backward takes a protobuf body, "content-type: ${protobufType}".`);
    }
    const bytes = new Uint8Array(await c.req.arrayBuffer());
    const request = readRequest(bytes);
    const scores = request.forwardOnly && request.modelId.startsWith('sampling_');
    return told(c, pending(scores ? service.score(request, bytes) : service.train(request, bytes)));
  });
  post('/optim_step', bodies.optimStepBody, ({ model_id, seq_id, adam_params: adam }, bytes) => {
    const settings = {
      learningRate: adam.learning_rate,
      betas: [adam.beta1, adam.beta2] as [number, number],
      epsilon: adam.eps,
      weightDecay: adam.weight_decay,
      clipNorm: adam.grad_clip_norm,
    };
    const step = service.ask(
      model_id,
      seq_id,
      bytes,
      model => model.optimStep(settings),
      ({ gradNorm }) => ({ metrics: { grad_norm: gradNorm } }),
    );
    return pending(step);
  });

  post('/save_weights', bodies.saveWeightsBody, ({ model_id, seq_id, path, overwrite }, bytes) => {
    const saved = service.ask(
      model_id,
      seq_id,
      bytes,
      model => service.save(model, 'weights', path, overwrite ?? false),
      checkpoint => ({ type: 'save_weights', path: checkpoint.path }),
    );
    return pending(saved);
  });
  post('/save_weights_for_sampler', bodies.saveForSamplerBody, ({ model_id, seq_id, path }, bytes) => {
    const type = 'save_weights_for_sampler';
    const saved = service.ask(
      model_id,
      seq_id,
      bytes,
      async model =>
        path
          ? { path: (await service.save(model, 'sampler_weights', path, true)).path }
          : { sampling_session_id: await service.sampleFrom(model) },
      place => ({ type, ...place }),
    );
    return pending(saved);
  });
  post('/load_weights', bodies.loadWeightsBody, ({ path, optimizer, ...into }, bytes) => {
    if ('session_id' in into) {
      return pending(service.createFrom(path, into.session_id, into.model_seq_id, optimizer ?? false, bytes));
    }
    const { model_id, seq_id } = into;
    const loaded = service.ask(
      model_id,
      seq_id,
      bytes,
      model => service.load(model, path, optimizer ?? false),
      () => ({ type: 'load_weights', path }),
    );
    return pending(loaded);
  });
  post('/weights_info', bodies.weightsInfoBody, ({ tinker_path }) => {
    const { base_model, lora } = service.checkpoints.originOf(service.checkpoints.find(tinker_path));
    return { base_model, ...loraFields(lora) };
  });
  app.get('/training_runs/:model/checkpoints', c => {
    const checkpoints = service.checkpoints.list(c.req.param('model')).map(({ path, kind, name, savedAt }) => ({
      checkpoint_id: `${kind}/${name}`,
      checkpoint_type: kind === 'weights' ? 'training' : 'sampler',
      time: savedAt.toISOString(),
      tinker_path: path,
    }));
    return c.json({ checkpoints });
  });
  app.get('/training_runs/:model/checkpoints/:id{.+}/archive', c => {
    const checkpoint = service.checkpoints.find(`tinker://${c.req.param('model')}/${c.req.param('id')}`);
    return c.body(service.checkpoints.archive(checkpoint), 200, { 'content-type': 'application/gzip' });
  });
  app.delete('/training_runs/:model/checkpoints/:kind/:name', async c => {
    const { model, kind, name } = c.req.param();
    await service.delete(`tinker://${model}/${kind}/${name}`);
    return c.body(null, 204);
  });

  post('/create_sampling_session', bodies.createSamplingSessionBody, ({ session_id, ...source }) => ({
    type: 'create_sampling_session',
    sampling_session_id: service.createSampling(session_id, source),
  }));
  app.get('/samplers/:id', c => {
    const id = c.req.param('id');
    return c.json({ sampler_id: id, base_model: service.sampledBase(id).name });
  });
  post('/asample', bodies.sampleBody, (body, bytes) => {
    const future = service.sample(body, bytes);
    return {
      ...pending(future),
      sample_sequence_ids: Array.from({ length: body.num_samples }, (_, i) => `${future}:${i}`),
    };
  });

  app.post('/retrieve_future', limit, async c => {
    const { request_id } = readBody(bodies.retrieveBody, new Uint8Array(await c.req.arrayBuffer()));
    const outcome = await service.futures.retrieve(request_id, pollMs);
    return outcome ? settled(c, outcome) : c.json({ type: 'try_again', request_id, queue_state: 'active' });
  });

  app.notFound(c => tell(c, new ApiError(404, `This server has no ${c.req.method} ${c.req.path}.`)));
  app.onError((error, c) => {
    if (error instanceof ApiError) return tell(c, error);
    options.onError(error);
    return tell(c, new ApiError(500, 'The server failed to answer.'));
  });
  return app;
}

/** A request that was taken on. */
interface Pending {
  request_id: string;
  future_id: string;
  status: 'pending';
}

function pending(future: string): Pending {
  return { request_id: future, future_id: future, status: 'pending' };
}

function isPending(answer: object): answer is Pending {
  return 'status' in answer && answer.status === 'pending';
}

/** How long a client would wait for an answer rather than ask for it later (RFC 7240). */
function preferredWaitMs(prefer = ''): number {
  return Math.min(1000 * Number(/\bwait=(\d+)/.exec(prefer)?.[1] ?? 0), pollMs);
}

function settled(c: Context, outcome: Outcome): Response {
  if ('error' in outcome) return c.json(outcome);
  const { result } = outcome;
  if (!result.protobuf || !c.req.header('accept')?.includes(protobufType)) return c.json(result.json());
  return c.body(result.protobuf() as Uint8Array<ArrayBuffer>, 200, { 'content-type': protobufType });
}

function readRequest(bytes: Uint8Array): ForwardBackwardRequest {
  try {
    return forwardBackwardRequest.decode(bytes);
  } catch (error) {
    throw new ApiError(400, `The body is no ForwardBackwardRequest: ${(error as Error).message}`);
  }
}

function tell(c: Context, error: ApiError): Response {
  if (error.status === 429 || error.status === 503) c.header('retry-after', '1');
  // The rest of the body is not read: nothing else can come over this connection.
  if (error.status === 413) c.header('connection', 'close');
  return c.json({ detail: error.message }, error.status as ContentfulStatusCode);
}

/** Digests are compared, so that the time it takes says nothing of the key, its length included. */
function refuseStranger(apiKey: string | undefined, given: string | undefined): void {
  if (apiKey === undefined) return;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  if (timingSafeEqual(digest(apiKey), digest(given ?? ''))) return;
  throw new ApiError(401, 'Send the API key that this server was started with: "X-API-Key: …".');
}
