import { setTimeout as sleep } from 'node:timers/promises';
import { UserError } from '../../errors.ts';
import { protobufType } from './messages.ts';

export interface ConnectionOptions {
  /** Of the server, without `/api/v1`. */
  url: string;
  apiKey?: string;
  /** How long a server may be away before the run gives up. Default 10 minutes. */
  patienceMs?: number;
  /** The first pause after a failure; each further one is twice as long, up to half a minute. Default 500. */
  firstPauseMs?: number;
  /** Told when a server is waited for. */
  onNotice?: (notice: string) => void;
}

/** What a server said: JSON, or the bytes of a message. */
export type Answer = { json: unknown } | { protobuf: Uint8Array };

/** It may go better next time: the server is away, overloaded, or its answer came broken. */
export class Passing extends Error {
  readonly retryAfterMs?: number;

  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** The server does not know what it is asked for. */
export class Unknown extends UserError {}

const longestPauseMs = 30_000;
/** Longest silence of a server before it counts as gone: longer than it holds a poll. A download may take longer, but not be silent. */
const silenceMs = 90_000;
/** Failures of one request in a row after which the person is told. */
const failuresUntilTold = 3;

/**
 * Requests to one server, sent again with growing pauses until they are answered. That never does anything twice: what changes
 * something carries a number by which the server knows it again.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #underWay = new Set<AbortController>();
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = { ...options, url: options.url.replace(/\/+$/, '') };
  }

  get url(): string {
    return this.#options.url;
  }

  /**
   * Sends a request until `read` understands the answer.
   * @param body of a POST, JSON or the bytes of a message; none: a GET
   * @param read throws what it likes where the answer makes no sense
   * @throws UserError in the server's words where it refuses, or is away for too long
   */
  async ask<T>(path: string, body: object | Uint8Array | undefined, read: (answer: Answer) => T): Promise<T> {
    return this.patiently(() => this.#once(path, body, async response => read(await answerOf(response))));
  }

  /** The same once, for what matters only if it comes in time. */
  async tell(path: string, body: object): Promise<void> {
    await this.#once(path, body, answerOf).catch(() => {});
  }

  /** Downloads from a path of the server, or from where it sends its clients: the key goes to the server alone. */
  async download<T>(path: string, read: (body: ReadableStream<Uint8Array>) => Promise<T>): Promise<T> {
    return this.patiently(() =>
      this.#once(path, undefined, async (response, { signal, heard }) => {
        const readAlive = (body: ReadableStream<Uint8Array>) => read(body.pipeThrough(listening(heard)));
        const elsewhere = response.headers.get('location');
        if (!elsewhere) return readAlive(response.body!);
        const url = new URL(elsewhere, response.url);
        const headers = url.origin === new URL(this.url).origin ? this.#headers() : {};
        const archive = await fetch(url, { headers, signal }).catch(error => {
          throw new Passing(`${url.host} cannot be reached (${reasonOf(error)})`);
        });
        if (!archive.ok) throw new Passing(`${url.host} answered ${archive.status}`);
        return readAlive(archive.body!);
      }),
    );
  }

  /** Does what may fail in passing, until it succeeds or patience ends. @throws UserError */
  async patiently<T>(work: () => Promise<T>): Promise<T> {
    const { patienceMs = 600_000, firstPauseMs = 500, onNotice } = this.#options;
    const began = Date.now();
    for (let failures = 1; ; failures++) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof Passing)) throw error;
        if (Date.now() - began > patienceMs) {
          throw new UserError(
            `${error.message}, for ${Math.round(patienceMs / 60_000)} minutes: go on by --resume when ${this.url} works again`,
          );
        }
        const pauseMs = Math.min(error.retryAfterMs ?? firstPauseMs * 2 ** (failures - 1), longestPauseMs);
        if (failures === failuresUntilTold) onNotice?.(`${error.message}; waiting for it`);
        // Many wait at the same time: they should not all come back at once.
        await sleep(pauseMs * (0.75 + 0.5 * Math.random()));
        if (this.#closed) throw closedError();
      }
    }
  }

  /** Ends whatever is under way. */
  close(): void {
    this.#closed = true;
    for (const request of this.#underWay) request.abort();
  }

  async #once<T>(
    path: string,
    body: object | Uint8Array | undefined,
    read: (response: Response, request: { signal: AbortSignal; heard: () => void }) => Promise<T>,
  ): Promise<T> {
    if (this.#closed) throw closedError();
    const request = new AbortController();
    const timer = setTimeout(() => request.abort(), silenceMs);
    this.#underWay.add(request);
    try {
      const response = await fetch(`${this.url}/api/v1/${path}`, {
        method: body ? 'POST' : 'GET',
        headers: {
          ...this.#headers(),
          accept: `${protobufType}, application/json`,
          ...(body && { 'content-type': typeOf(body) }),
        },
        body: body instanceof Uint8Array ? (body as Uint8Array<ArrayBuffer>) : body && JSON.stringify(body),
        redirect: 'manual',
        signal: request.signal,
      });
      if (response.status >= 400) throw await this.#refusal(response);
      return await read(response, { signal: request.signal, heard: () => timer.refresh() });
    } catch (error) {
      if (this.#closed) throw closedError();
      if (error instanceof UserError || error instanceof Passing) throw error;
      throw new Passing(`${this.url} cannot be reached or understood (${reasonOf(error as Error)})`);
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(request);
    }
  }

  #headers(): Record<string, string> {
    const { apiKey } = this.#options;
    return apiKey ? { 'x-api-key': apiKey } : {};
  }

  async #refusal(response: Response): Promise<Error> {
    const { status, headers } = response;
    const words = wordsOf(await response.text());
    const answered = `${this.url} answered ${status}${words && `: ${words}`}`;
    if ([408, 425, 429].includes(status) || status >= 500) {
      const seconds = Number(headers.get('retry-after'));
      return new Passing(answered, seconds > 0 ? seconds * 1000 : undefined);
    }
    if (status === 401 || status === 403)
      return new UserError(`${answered}; is TINKER_API_KEY set to a key of this server?`);
    if (status === 402) return new UserError(`${answered}; go on by --resume when its bill is settled`);
    if (status === 404 || status === 410)
      return new Unknown(`${answered}; a run goes on from what it saved last by --resume`);
    return new UserError(answered);
  }
}

/** Passes all on, and says so. */
function listening(heard: () => void): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform(chunk, controller) {
      heard();
      controller.enqueue(chunk);
    },
  });
}

async function answerOf(response: Response): Promise<Answer> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (response.headers.get('content-type')?.startsWith(protobufType)) return { protobuf: bytes };
  return { json: JSON.parse(new TextDecoder().decode(bytes)) };
}

function typeOf(body: object): string {
  return body instanceof Uint8Array ? protobufType : 'application/json';
}

/** What a server says to a refusal, in one line that is not too long: some show the whole request. */
function wordsOf(text: string): string {
  let words = text;
  try {
    const { detail } = JSON.parse(text);
    words = Array.isArray(detail)
      ? detail.map(({ loc, msg }) => `${[loc].flat().join('.')}: ${msg}`).join('; ')
      : String(detail);
  } catch {
    // No JSON: as it is.
  }
  return words.replace(/\s+/g, ' ').trim().slice(0, 500);
}

function reasonOf(error: Error): string {
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  return cause?.code ?? cause?.message ?? error.message;
}

function closedError(): Error {
  return new Error('the engine was closed');
}
