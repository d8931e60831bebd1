import { createHash, timingSafeEqual } from 'node:crypto';
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { requestId } from 'hono/request-id';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Admission, Visit } from './admission.ts';
import type { Answering } from './answering.ts';
import { ApiError, badRequest } from './apiError.ts';
import { parseBody } from './body.ts';
import { answerChat } from './chatCompletions.ts';
import { answerCompletion } from './completions.ts';
import { eventStream } from './eventStream.ts';
import type { ServerMetrics } from './metrics.ts';
import type { NewWeights } from './newWeights.ts';
import { keepOut } from './origins.ts';
import { clientGone, type ReadingThread, type Work } from './readingThread.ts';
import { answerResponse, type ResponsesOptions } from './responses/answering.ts';
import { description, modelOf, type ServedModel } from './servedModel.ts';
import { sizeLimit } from './sizeLimit.ts';

export interface AppOptions {
  models: readonly ServedModel[];
  reading: ReadingThread;
  admission: Admission;
  metrics: ServerMetrics;
  responses: ResponsesOptions;
  /** Where clients may replace the weights. */
  newWeights?: NewWeights;
  /** Asked of every client, except for `/health`. */
  apiKey?: string;
  /** Origins whose web pages may ask; `*`: all. */
  allowOrigins: readonly string[];
  /** Of the address that is listened on, as it was given. */
  host: string;
  maxBodyBytes: number;
  /** Told what failed without a client being at fault. */
  onError: (error: Error) => void;
}

const paths = ['/v1/chat/completions', '/v1/completions', '/v1/responses', '/v1/models', '/health', '/metrics'];
const weightsPath = '/update_weights_from_disk';

/** The routes of OpenAI's API. */
export function createApp(options: AppOptions): Hono {
  const { models, reading, admission, metrics } = options;
  const app = new Hono();

  app.use(requestId());
  app.use(async (c, next) => {
    await next();
    metrics.requests.inc({ route: routeName(c), status: c.res.status });
  });
  app.use(keepOut(options.allowOrigins, options.host));
  app.get('/health', c => c.json({ status: 'ok' }));
  app.use(async (c, next) => {
    refuseStranger(options.apiKey, c.req.header('authorization'));
    await next();
  });
  app.get('/metrics', async c => c.text(await metrics.text(), 200, { 'content-type': metrics.contentType }));

  app.get('/v1/models', c => c.json({ object: 'list', data: models.map(description) }));
  app.get('/v1/models/:id', c => c.json(description(modelOf(models, c.req.param('id')))));

  const limit = sizeLimit(options.maxBodyBytes, () => {
    throw new ApiError(413, `The body has more than ${options.maxBodyBytes} bytes.`, { code: 'body_too_large' });
  });
  const post = <K extends 'chat' | 'completion'>(
    path: string,
    kind: K,
    answering: (model: ServedModel, work: Work[K]) => Answering,
  ) =>
    app.post(path, limit, async c => {
      const work = await reading.read(kind, await wholeBody(c), c.req.raw.signal);
      const ready = answering(modelOf(models, work.request.model), work);
      return answer(c, ready, admission.enter(ready.sequences), options);
    });
  post('/v1/chat/completions', 'chat', answerChat);
  post('/v1/completions', 'completion', answerCompletion);

  const { responses } = options;
  const { kept } = responses;
  app.post('/v1/responses', limit, async c => {
    const work = await reading.read('response', await wholeBody(c), c.req.raw.signal, id => kept.dialogue(id));
    const ready = answerResponse(modelOf(models, work.request.model), work, responses);
    return answer(c, ready, admission.enter(ready.sequences), options);
  });
  app.get('/v1/responses/:id', c => {
    if (c.req.query('stream') === 'true') throw badRequest('stream: what is over is not streamed again', 'stream');
    return c.body(kept.response(c.req.param('id')), 200, { 'content-type': 'application/json' });
  });
  app.delete('/v1/responses/:id', c => {
    const id = c.req.param('id');
    kept.delete(id);
    return c.json({ id, object: 'response', deleted: true });
  });

  const { newWeights } = options;
  if (newWeights) {
    app.post(weightsPath, limit, async c => c.json(await newWeights.take(parseBody(await wholeBody(c)))));
  }

  app.notFound(c => {
    const known = newWeights ? [...paths, weightsPath] : paths;
    const wrongMethod = known.includes(c.req.path);
    const error = wrongMethod
      ? new ApiError(405, `${c.req.path} does not take ${c.req.method}.`, { code: 'method_not_allowed' })
      : new ApiError(404, `There is no ${c.req.path}; there are ${known.join(', ')}.`, { code: 'not_found' });
    return tell(c, error);
  });
  app.onError((error, c) => {
    if (error instanceof ApiError) {
      if (error.code === 'client_gone') metrics.gone.inc();
      return tell(c, error);
    }
    options.onError(error);
    return tell(c, new ApiError(500, 'The server failed to answer.'));
  });
  return app;
}

/** Samples and answers; whatever comes of it, the room that it took is given back. */
async function answer(c: Context, answering: Answering, visit: Visit, options: AppOptions): Promise<Response> {
  const { metrics } = options;
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  let tokens = 0;
  const onToken = () => {
    if (tokens++ === 0) metrics.firstToken.observe(seconds());
  };
  const finish = () => {
    visit.leave();
    metrics.sampledTokens.inc(tokens);
    metrics.duration.observe(seconds());
  };
  metrics.promptTokens.inc(answering.promptTokens);
  if (answering.streamed) {
    const fill = async (send: (chunk: object) => void) => {
      try {
        await answering.stream(visit.signal, onToken, send);
      } catch (error) {
        const told = understood(error as Error, visit.signal, options);
        if (!answering.failure) throw told;
        send(answering.failure(told));
      } finally {
        finish();
      }
    };
    const onGone = () => {
      metrics.gone.inc();
      visit.end();
    };
    const hangUp = () => void (c.env as HttpBindings).outgoing.destroy();
    return eventStream(fill, onGone, hangUp, answering.failure !== undefined);
  }
  const client = c.req.raw.signal;
  // It may have gone while its request was read.
  if (client.aborted) visit.end();
  else client.addEventListener('abort', visit.end, { once: true });
  try {
    return c.json(await answering.whole(visit.signal, onToken));
  } catch (error) {
    if (!client.aborted) throw understood(error as Error, visit.signal, options);
    throw clientGone();
  } finally {
    client.removeEventListener('abort', visit.end);
    finish();
  }
}

/** An error as the client is told it. */
function understood(error: Error, signal: AbortSignal, options: AppOptions): ApiError {
  if (error instanceof ApiError) return error;
  if (signal.aborted) return new ApiError(503, 'The server is shutting down.', { code: 'shutting_down' });
  options.onError(error);
  return new ApiError(500, 'The server failed to answer.');
}

function tell(c: Context, error: ApiError): Response {
  if (error.status === 429 || error.status === 503) c.header('retry-after', '1');
  // The rest of the body is not read: nothing else can come over this connection.
  if (error.status === 413) c.header('connection', 'close');
  return c.json(error.body, error.status as ContentfulStatusCode);
}

/** @throws ApiError 499 where the client goes away in the middle */
async function wholeBody(c: Context): Promise<Uint8Array> {
  try {
    return new Uint8Array(await c.req.arrayBuffer());
  } catch (error) {
    const { incoming } = c.env as HttpBindings;
    if (incoming.complete || !incoming.destroyed) throw error;
    throw clientGone();
  }
}

/** Digests are compared, so that the time it takes says nothing of the key, its length included. */
function refuseStranger(apiKey: string | undefined, authorization: string | undefined): void {
  if (apiKey === undefined) return;
  const digest = (text: string) => createHash('sha256').update(text).digest();
  if (timingSafeEqual(digest(`Bearer ${apiKey}`), digest(authorization ?? ''))) return;
  throw new ApiError(401, 'Send the API key that this server was started with: "Authorization: Bearer …".', {
    type: 'authentication_error',
    code: 'invalid_api_key',
  });
}

/** A few names, whatever paths clients try. */
function routeName(c: Context): string {
  const route = c.req.path;
  const family = ['/v1/models', '/v1/responses'].find(path => route.startsWith(`${path}/`));
  if (family) return family;
  return [...paths, weightsPath].includes(route) ? route : 'other';
}
