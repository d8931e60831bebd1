import { setMaxListeners } from 'node:events';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../../errors.ts';
import { type Answer, exchange } from './exchange.ts';

export interface ConnectionOptions {
  /** Most requests under way at the same time; further ones wait for their turn. Default 256. */
  concurrency?: number;
  /** How long a request is tried again while it fails. Default 10 minutes. */
  patienceMs?: number;
  /** Default: SOD_API_KEY of the environment. */
  apiKey?: string;
  /** Told when the server cannot answer and is asked again. */
  onNotice?: (notice: string) => void;
  /** Ends all requests that have no signal of their own. */
  signal?: AbortSignal;
}

/** What a server is asked for, and what its answer means. */
export interface Call<T> {
  path: string;
  body?: object;
  /** @throws UserError where the answer is another than was asked for; `Passing` where it may be as asked for next time. */
  read(answer: unknown): T;
}

/** The server could not answer: it may pass. */
export class Passing extends Error {
  override name = 'Passing';
  readonly isBusy: boolean;
  /** How long the server asks to be left alone. */
  readonly retryAfterMs: number;

  constructor(message: string, { isBusy = false, retryAfterMs = 0 } = {}) {
    super(message);
    this.isBusy = isBusy;
    this.retryAfterMs = retryAfterMs;
  }
}

const firstWaitMs = 250;
const longestWaitMs = 30_000;
const noticesEveryMs = 60_000;
/** Of what a server says in its own words. */
const mostSaid = 500;

/**
 * Asks one server, so many requests at a time. What breaks, is refused for now (408, 429, 5xx) or cut short is asked again at
 * growing intervals: nothing that is asked here changes the server.
 */
export class Connection {
  readonly #url: string;
  readonly #agent: HttpAgent;
  readonly #patienceMs: number;
  readonly #apiKey: string | undefined;
  readonly #onNotice: (notice: string) => void;
  readonly #signal: AbortSignal | undefined;
  #lastAnswer = Number.NEGATIVE_INFINITY;
  #lastNotice = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(url: string, options: ConnectionOptions = {}) {
    const { concurrency = 256, patienceMs = 600_000, onNotice = () => {}, signal } = options;
    const Agent = url.startsWith('https:') ? HttpsAgent : HttpAgent;
    this.#url = url;
    this.#agent = new Agent({
      keepAlive: true,
      keepAliveMsecs: 30_000,
      maxSockets: concurrency,
      maxFreeSockets: concurrency,
    });
    this.#patienceMs = patienceMs;
    this.#apiKey = (options.apiKey ?? process.env.SOD_API_KEY)?.trim();
    this.#onNotice = onNotice;
    this.#signal = signal;
    // Every request under way listens.
    if (signal) setMaxListeners(0, signal);
  }

  /** @throws UserError in the server's words where it refuses, or does not answer for too long; AbortError. */
  async ask<T>({ path, body, read }: Call<T>, signal = this.#signal): Promise<T> {
    const sent = body && JSON.stringify(body);
    let failingSince: number | undefined;
    for (let failures = 0; ; failures++) {
      try {
        const answer = await this.#once(path, sent, read, signal);
        this.#lastAnswer = performance.now();
        return answer;
      } catch (error) {
        if (error instanceof UserError) throw new UserError(`${this.#url}: ${error.message}`);
        if (!(error instanceof Passing) || this.#isClosed) throw error;
        failingSince ??= performance.now();
        // Whoever is busy with others is there.
        const since = error.isBusy ? Math.max(failingSince, this.#lastAnswer) : failingSince;
        await this.#wait(error, failures, performance.now() - since, signal);
      }
    }
  }

  /** Ends what is under way. */
  close(): void {
    this.#isClosed = true;
    this.#agent.destroy();
  }

  async #once<T>(path: string, body: string | undefined, read: Call<T>['read'], signal?: AbortSignal): Promise<T> {
    const headers = {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...(this.#apiKey && { authorization: `Bearer ${this.#apiKey}` }),
    };
    signal?.throwIfAborted();
    const request = { url: this.#url + path, agent: this.#agent, headers, body, signal };
    const answer = await exchange(request).catch(error => {
      throw explained(error);
    });
    return read(contentOf(answer, path, this.#apiKey !== undefined));
  }

  /** @throws UserError where there is no more hope. */
  async #wait(problem: Passing, failures: number, failingMs: number, signal?: AbortSignal): Promise<void> {
    if (failingMs > this.#patienceMs) {
      const minutes = (this.#patienceMs / 60_000).toPrecision(2);
      throw new UserError(
        `${this.#url} ${problem.message}, for ${Number(minutes)} minutes now: see what it says itself`,
      );
    }
    const growing = Math.min(firstWaitMs * 2 ** failures, longestWaitMs) * (0.5 + Math.random());
    const waitMs = Math.max(Math.min(problem.retryAfterMs, longestWaitMs), growing);
    if (performance.now() - this.#lastNotice > noticesEveryMs) {
      this.#lastNotice = performance.now();
      this.#onNotice(`${this.#url} ${problem.message}: trying again until it answers`);
    }
    await sleep(waitMs, undefined, { signal });
  }
}

/** What broke a connection: the network, which may pass, or certificates and the like, which do not. */
function explained(error: NodeJS.ErrnoException): Error {
  if (error.name === 'AbortError' || error instanceof UserError) return error;
  const what = `cannot be reached (${error.code ?? error.message})`;
  const mayPass = error.code === undefined || /^(E(?!RR_|PROTO)|HPE_)/.test(error.code);
  return mayPass ? new Passing(what) : new UserError(what);
}

function contentOf({ status, headers, text }: Answer, path: string, hasKey: boolean): unknown {
  if (status === 200) return parsed(text, headers['content-type'] ?? '');
  const words = saidIn(text);
  const said = `answered ${status}${words && ` (${words})`}`;
  if (status === 408 || status === 429 || status >= 500) {
    throw new Passing(said, { isBusy: status === 429, retryAfterMs: 1000 * (Number(headers['retry-after']) || 0) });
  }
  if (status === 401 || status === 403) {
    throw new UserError(`${said}: set SOD_API_KEY to ${hasKey ? 'another key' : 'the key that it asks for'}`);
  }
  if (status === 404 && path === '/v1/models') {
    throw new UserError(`${said}: it is no server of OpenAI's API, such as vLLM, SGLang or sod serve`);
  }
  throw new UserError(said);
}

function parsed(text: string, contentType: string): unknown {
  if (!contentType.includes('json')) {
    throw new UserError(`answers with ${contentType || 'nothing'}, not JSON: it is no server of OpenAI's API`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Passing('answered with broken JSON');
  }
}

/** An error in the server's own words. */
function saidIn(text: string): string {
  try {
    const { error, message, detail } = JSON.parse(text);
    const said = error?.message ?? message ?? detail ?? error;
    return (typeof said === 'string' ? said : JSON.stringify(said)).slice(0, mostSaid);
  } catch {
    return text.slice(0, mostSaid);
  }
}
