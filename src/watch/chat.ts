import type { Context, Handler, MiddlewareHandler } from 'hono';
import { z } from 'zod';
import { firstIssue } from '../schema.ts';
import { ApiError, badRequest } from '../serve/apiError.ts';
import { parseBody } from '../serve/body.ts';
import { isLocal } from '../serve/origins.ts';
import { sizeLimit } from '../serve/sizeLimit.ts';
import { Conversations } from './conversations.ts';
import type { WatchedRun } from './watchedRun.ts';

const mostBytes = 1 << 20;

const text = z.string();
const message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'user', 'tool']), content: text }),
  z.object({
    role: z.literal('assistant'),
    content: text,
    reasoning: text.optional(),
    toolCalls: z.array(z.object({ name: text, arguments: z.record(z.string(), z.unknown()) })).optional(),
  }),
]);
const requestSchema = z.object({
  model: text,
  task: z.int().nonnegative().optional(),
  messages: z.array(message).min(1).optional(),
  temperature: z.number().nonnegative().optional(),
  seed: z.int().nonnegative().optional(),
});

/** Lets nobody else compute on this machine, or call tools on it. */
export const onlyHere: MiddlewareHandler = async (c, next) => {
  if (isLocal(c)) return next();
  throw new ApiError(403, 'Only on the machine itself, by 127.0.0.1, can one talk to models.', { code: 'not_here' });
};

/** Answers questions to the models of runs, until `signal` fires. @param runOf the run that a request is about */
export function chat(runOf: (c: Context) => WatchedRun, signal: AbortSignal): [MiddlewareHandler, Handler] {
  const conversations = new Conversations();
  signal.addEventListener('abort', () => conversations.close(), { once: true });
  const limit = sizeLimit(mostBytes, () => {
    throw new ApiError(413, `A dialogue has ${mostBytes} bytes at most.`, { code: 'body_too_large' });
  });
  const answer: Handler = async c => {
    const run = runOf(c);
    const request = requestSchema.safeParse(parseBody(new Uint8Array(await c.req.arrayBuffer())));
    if (!request.success) throw badRequest(firstIssue(request.error));
    return c.json(await conversations.answer(run, request.data, AbortSignal.any([c.req.raw.signal, signal])));
  };
  return [limit, answer];
}
