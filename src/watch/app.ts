import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Context, Hono } from 'hono';
import { stream, streamSSE } from 'hono/streaming';
import { z } from 'zod';
import { UserError } from '../errors.ts';
import { firstIssue } from '../schema.ts';
import { ApiError, badRequest } from '../serve/apiError.ts';
import { keepOut } from '../serve/origins.ts';
import type { Runs, TrajectoryQuery, WatchEvent } from './api.ts';
import { chat, onlyHere } from './chat.ts';
import type { WatchedFolders } from './folders.ts';
import type { PageFile } from './pageFiles.ts';
import type { WatchedRun } from './watchedRun.ts';

export interface WatchAppOptions {
  folders: WatchedFolders;
  /** What a browser loads, by path. */
  page: Record<string, PageFile>;
  /** Of the address that is listened on, as it was given. */
  host: string;
  /** Fires when the server closes. */
  signal: AbortSignal;
}

const pollMs = 1000;
/** So that whoever is between keeps the connection open. */
const sayNothingMs = 15_000;
const mostStreams = 256;

const headers = {
  'content-security-policy':
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
};

const number = z.coerce.number();
const count = z.coerce.number().int().nonnegative();
const yesOrNo = z.enum(['true', 'false']).transform(text => text === 'true');
const text = z.string().max(10_000);
const querySchema = z.object({
  from: count.optional(),
  to: count.optional(),
  task: text.optional(),
  source: text.optional(),
  correct: yesOrNo.optional(),
  pattern: z.enum(['stable', 'erroneous', 'recovery']).optional(),
  error: yesOrNo.optional(),
  leastReward: number.optional(),
  mostReward: number.optional(),
  order: z.enum(['newest', 'oldest', 'reward', 'divergence']).optional(),
  offset: count.optional(),
  limit: count.optional(),
});

/** The page and what it asks for: nothing can be written, and nothing read but the runs in the folders. */
export function createWatchApp({ folders, page, host, signal }: WatchAppOptions): Hono {
  const app = new Hono();
  let streams = 0;
  setMaxListeners(0, signal); // every stream waits by it

  app.use('/api/runs/:id/chat', onlyHere);
  app.use(keepOut([], host));
  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(headers)) c.header(name, value);
  });
  for (const [path, { type, content }] of Object.entries(page)) {
    app.get(path, c => c.body(content, 200, { 'content-type': type }));
  }
  app.get('/api/runs', c => c.json(folders.look()));
  app.get('/api/runs/:id/recipe', c => c.text(runOf(c, folders).recipe));
  app.get('/api/runs/:id/trajectories', c => c.json(runOf(c, folders).trajectories.list(queryOf(c))));
  app.get('/api/runs/:id/trajectories/count', c => c.json(runOf(c, folders).trajectories.count(queryOf(c))));
  app.get('/api/runs/:id/trajectories/:iteration/:index', c => {
    const [iteration, index] = [c.req.param('iteration'), c.req.param('index')].map(Number);
    const view = runOf(c, folders).trajectories.view(iteration, index);
    if (!view) throw new ApiError(404, 'This trajectory is not there (any more).', { code: 'not_found' });
    return c.json(view);
  });
  app.get('/api/runs/:id/search', c => {
    const wanted = c.req.query('text') ?? '';
    if (wanted.length === 0 || wanted.length > 1000) throw badRequest('text: give 1 to 1000 characters', 'text');
    const { trajectories } = runOf(c, folders);
    const query = queryOf(c);
    c.header('content-type', 'application/jsonl; charset=utf-8'); // without, a browser waits for the first kilobyte to guess it
    return stream(c, async out => {
      const gone = new AbortController();
      out.onAbort(() => gone.abort());
      const signals = AbortSignal.any([gone.signal, signal]);
      try {
        for await (const hit of trajectories.search(wanted, query, signals)) await out.writeln(JSON.stringify(hit));
      } catch (error) {
        if (!signals.aborted) throw error;
      }
    });
  });
  app.post('/api/runs/:id/chat', ...chat(c => runOf(c, folders), signal));
  app.get('/api/events', c => {
    if (streams === mostStreams) throw new ApiError(503, `${mostStreams} pages are watching already.`);
    const runs = (c.req.queries('run') ?? []).flatMap(id => folders.run(id) ?? []);
    streams++;
    return streamSSE(c, async out => {
      const news = new News(folders, runs);
      let saidAt = performance.now();
      try {
        while (!out.aborted && !signal.aborted) {
          const events = news.next();
          for (const event of events) await out.writeSSE({ data: JSON.stringify(event) });
          if (events.length > 0) saidAt = performance.now();
          else if (performance.now() - saidAt > sayNothingMs) {
            await out.write(':\n\n');
            saidAt = performance.now();
          }
          await sleep(pollMs, undefined, { signal }).catch(() => {});
        }
      } finally {
        streams--;
      }
    });
  });
  app.notFound(() => {
    throw new ApiError(404, 'There is nothing here.', { code: 'not_found' });
  });
  app.onError((error, c) => {
    const told =
      error instanceof ApiError ? error : new ApiError(error instanceof UserError ? 422 : 500, error.message);
    return c.json(told.body, told.status as 400);
  });
  return app;
}

/** What has changed for one page since it was told last. */
class News {
  readonly #folders: WatchedFolders;
  readonly #runs: readonly WatchedRun[];
  readonly #told = new Map<string, WatchedRun['lines']>();
  #last: Partial<Runs> = {};

  constructor(folders: WatchedFolders, runs: readonly WatchedRun[]) {
    this.#folders = folders;
    this.#runs = runs;
  }

  next(): WatchEvent[] {
    const { runs, tables } = this.#folders.look();
    const events: WatchEvent[] = [];
    if (runs !== this.#last.runs) events.push({ kind: 'runs', runs });
    if (tables !== this.#last.tables) events.push({ kind: 'tables', tables });
    this.#last = { runs, tables };
    return [...events, ...this.#runs.flatMap(run => this.#metrics(run))];
  }

  #metrics({ id, lines }: WatchedRun): WatchEvent[] {
    const told = this.#told.get(id);
    if (told === lines) return [];
    this.#told.set(id, lines);
    const same = told?.findIndex((line, i) => line !== lines[i]) ?? 0;
    const from = same < 0 ? told!.length : same;
    return [{ kind: 'metrics', run: id, from, lines: lines.slice(from) }];
  }
}

/** @throws ApiError where there is none of that name. */
function runOf(c: Context, folders: WatchedFolders): WatchedRun {
  const run = folders.run(c.req.param('id') ?? '');
  if (!run) throw new ApiError(404, 'There is no such run in the folders that are watched.', { code: 'not_found' });
  return run;
}

/** @throws ApiError where it is none. */
function queryOf(c: Context): TrajectoryQuery {
  const { text: _, ...given } = c.req.query();
  const query = querySchema.safeParse(given);
  if (query.success) return query.data;
  throw badRequest(firstIssue(query.error));
}
