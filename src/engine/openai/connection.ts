import { setMaxListeners } from 'node:events';
import type { Agent } from 'node:http';
import { UserError } from '../../errors.ts';
import { type Answer, agentFor, exchange } from '../../http/exchange.ts';
import { broken, mayPass, Passing, Patience, type PatienceOptions, passing, wordsOf } from '../../http/patience.ts';

export interface ConnectionOptions extends PatienceOptions {
  /** Most requests under way at the same time; further ones wait for their turn. Default 256. */
  concurrency?: number;
  /** Default: SOD_API_KEY of the environment. */
  apiKey?: string;
  /** Ends all requests that have no signal of their own. */
  signal?: AbortSignal;
}

/** What a server is asked for, and what its answer means. */
export interface Call<T> {
  path: string;
  body?: object;
  /** An error of the server's own (500) will not pass: asked again, it would be the same. */
  endsAt500?: boolean;
  /** Where the server has no such path, its answer is nothing. */
  mayLack?: boolean;
  /** @throws UserError where the answer is another than was asked for; `Passing` where it may be as asked for next time. */
  read(answer: unknown): T;
}

/** Longest silence of a server before it counts as gone: an answer comes as a whole, after all its tokens. */
const silenceMs = 30 * 60_000;

/**
 * Asks one server, so many requests at a time. What breaks, is refused for now (408, 429, 5xx) or cut short is asked again at
 * growing intervals: nothing that is asked here does more when it is done twice.
 */
export class Connection {
  readonly #url: string;
  readonly #agent: Agent;
  readonly #patience: Patience;
  readonly #apiKey: string | undefined;
  readonly #signal: AbortSignal | undefined;
  #isClosed = false;

  constructor(url: string, options: ConnectionOptions = {}) {
    const { concurrency = 256, signal } = options;
    this.#url = url;
    this.#agent = agentFor(url, concurrency);
    this.#patience = new Patience(url, 'see what it says itself', options);
    this.#apiKey = (options.apiKey ?? process.env.SOD_API_KEY)?.trim();
    this.#signal = signal;
    // Every request under way listens.
    if (signal) setMaxListeners(0, signal);
  }

  /** @throws UserError in the server's words where it refuses, or does not answer for too long; AbortError. */
  async ask<T>(call: Call<T>, signal = this.#signal): Promise<T> {
    const sent = call.body && JSON.stringify(call.body);
    const named = (error: unknown) => {
      throw error instanceof UserError ? new UserError(`${this.#url}: ${error.message}`) : error;
    };
    return this.#patience.with(() => this.#once(call, sent, signal).catch(named), signal);
  }

  /** Ends what is under way. */
  close(): void {
    this.#isClosed = true;
    this.#agent.destroy();
  }

  async #once<T>(call: Call<T>, body: string | undefined, signal?: AbortSignal): Promise<T> {
    const headers = {
      accept: 'application/json',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(this.#apiKey && { authorization: `Bearer ${this.#apiKey}` }),
    };
    signal?.throwIfAborted();
    if (this.#isClosed) throw closedError();
    const request = { url: this.#url + call.path, agent: this.#agent, headers, body, signal, silenceMs };
    const answer = await exchange(request).catch(error => {
      throw this.#isClosed ? closedError() : broken(error);
    });
    return call.read(contentOf(answer, call, this.#apiKey !== undefined));
  }
}

function contentOf({ status, headers, body }: Answer, call: Call<unknown>, hasKey: boolean): unknown {
  const text = body.toString();
  if (status === 200) return parsed(text, headers['content-type'] ?? '');
  if (status === 404 && call.mayLack) return undefined;
  const words = wordsOf(text);
  const said = `answered ${status}${words && ` (${words})`}`;
  if (mayPass(status) && !(status === 500 && call.endsAt500)) throw passing(said, status, headers['retry-after']);
  if (status === 401 || status === 403) {
    throw new UserError(`${said}: set SOD_API_KEY to ${hasKey ? 'another key' : 'the key that it asks for'}`);
  }
  if (status === 404 && call.path === '/v1/models') {
    throw new UserError(`${said}: it is no server of OpenAI's API, such as vLLM, SGLang or sod serve`);
  }
  throw new UserError(said);
}

function parsed(text: string, contentType: string): unknown {
  if (text === '') return undefined;
  if (!contentType.includes('json')) {
    throw new UserError(`answers with ${contentType || 'nothing'}, not JSON: it is no server of OpenAI's API`);
  }
  try {
    return JSON.parse(text);
  } catch {
    throw new Passing('answered with broken JSON');
  }
}

function closedError(): Error {
  return new Error('the engine was closed');
}
