import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { UserError } from '../../errors.ts';
import { type Answer, type Connection, Unknown } from './connection.ts';

const pending = z.object({ request_id: z.string() });
const notYet = z.object({ type: z.literal('try_again'), queue_state: z.string().optional() });
const failed = z.object({ error: z.string(), category: z.string().optional() });

/** Where a server holds work back for want of capacity it answers at once, and need not be asked again at once. */
const pausedMs = 1000;
/** How long a server may hold a request that it could also answer later. */
const waitSeconds = 30;
/** How often a future may be lost in a row: each time, the request is sent again. */
const mostLosses = 3;

/** Sends a request that is answered later. @returns the id of what it will come to, once the server has taken it on */
export function submit(connection: Connection, path: string, body: object | Uint8Array): Promise<string> {
  return connection.ask(path, body, answer => pending.parse(jsonOf(answer)).request_id);
}

/**
 * What a request has come to, asked for until it is there.
 * @param submitAgain sends the request once more, where the server has forgotten it: its number keeps it from being done twice
 * @param read throws what it likes where the answer makes no sense: then it is asked for once more
 * @throws UserError in the server's words where it failed
 */
export async function result<T>(
  connection: Connection,
  id: string,
  submitAgain: () => Promise<string>,
  read: (answer: Answer) => T,
): Promise<T> {
  let current = id;
  for (let losses = 0; ; ) {
    try {
      const outcome = await connection.ask('retrieve_future', { request_id: current }, answer => {
        const later = told(notYet, answer);
        return later ? { pausedBy: later.queue_state } : { value: outcomeOf(connection, answer, read) };
      });
      if ('value' in outcome) return outcome.value as T;
      if (outcome.pausedBy?.startsWith('paused')) await sleep(pausedMs);
    } catch (error) {
      if (!(error instanceof Unknown) || ++losses > mostLosses) throw error;
      current = await submitAgain();
    }
  }
}

/** Sends a request and waits for what it comes to: with the answer to the request itself, where the server knows how to wait. */
export async function future<T>(
  connection: Connection,
  path: string,
  body: object | Uint8Array,
  read: (answer: Answer) => T,
): Promise<T> {
  const first = await connection.ask(
    path,
    body,
    answer => {
      const later = told(pending, answer);
      return later ? { id: later.request_id } : { value: outcomeOf(connection, answer, read) };
    },
    `wait=${waitSeconds}`,
  );
  if ('value' in first) return first.value as T;
  return result(connection, first.id, () => submit(connection, path, body), read);
}

function outcomeOf<T>(connection: Connection, answer: Answer, read: (answer: Answer) => T): T {
  const failure = told(failed, answer);
  if (failure) throw new UserError(`${connection.url}: ${failure.error}`);
  return read(answer);
}

/** What an answer says, where it is of this kind; most are messages, which no schema needs to look at. */
function told<T>(kind: z.ZodType<T>, answer: Answer): T | undefined {
  return 'json' in answer ? kind.safeParse(answer.json).data : undefined;
}

/** @throws Error where the answer is no JSON */
export function jsonOf(answer: Answer): unknown {
  if ('json' in answer) return answer.json;
  throw new Error('a message came, where JSON is expected');
}

/** @throws Error where the answer is no message */
export function protobufOf(answer: Answer): Uint8Array {
  if ('protobuf' in answer) return answer.protobuf;
  throw new Error('JSON came, where a message is expected');
}
