import type { Agent } from 'node:http';
import { UserError } from '../../errors.ts';
import { agentFor, exchange, Silence } from '../../http/exchange.ts';
import { mayPass, Passing, Patience, type PatienceOptions, passing, wordsOf } from '../../http/patience.ts';
import { protobufType } from './messages.ts';

export interface ConnectionOptions extends PatienceOptions {
  /** Of the server, without `/api/v1`. */
  url: string;
  apiKey?: string;
}

/** What a server said: JSON, or the bytes of a message. */
export type Answer = { json: unknown } | { protobuf: Uint8Array };

/** The server does not know what it is asked for. */
export class Unknown extends UserError {}

/** Longest silence of a server before it counts as gone: longer than it holds a poll. A download may take longer, but not be silent. */
const silenceMs = 90_000;
/** How long something is tried that no run should wait for. */
const hasteMs = 5000;

/**
 * Requests to one server, sent again with growing pauses until they are answered. That never does anything twice: what changes
 * something carries a number by which the server knows it again.
 */
export class Connection {
  readonly url: string;
  readonly #apiKey: string | undefined;
  readonly #agent: Agent;
  readonly #patience: Patience;
  readonly #haste: Patience;
  readonly #closing = new AbortController();

  constructor({ url, apiKey, ...patience }: ConnectionOptions) {
    this.url = url.replace(/\/+$/, '');
    this.#apiKey = apiKey;
    this.#agent = agentFor(this.url);
    this.#patience = new Patience(this.url, 'go on by --resume when it works again', patience);
    this.#haste = new Patience(this.url, '', { firstPauseMs: patience.firstPauseMs, patienceMs: hasteMs });
  }

  /**
   * Sends a request until `read` understands the answer.
   * @param body of a POST, JSON or the bytes of a message; none: a GET
   * @param read throws what it likes where the answer makes no sense
   * @param prefer what would suit the client (RFC 7240); a server that does not know of it answers as ever
   * @throws UserError in the server's words where it refuses, or is away for too long
   */
  async ask<T>(
    path: string,
    body: object | Uint8Array | undefined,
    read: (answer: Answer) => T,
    prefer?: string,
  ): Promise<T> {
    const sent = body === undefined || body instanceof Uint8Array ? body : JSON.stringify(body);
    return this.#patience.with(() => this.#once(async () => read(await this.#answer(path, sent, prefer))));
  }

  /** The same once, for what matters only if it comes in time. */
  async tell(path: string, body: object): Promise<void> {
    await this.#once(() => this.#answer(path, JSON.stringify(body))).then(
      () => this.#patience.heard(),
      () => {},
    );
  }

  /** Deletes what is needed no more; where a server cannot, or has it no longer, nothing happens. */
  async delete(path: string): Promise<void> {
    await this.#haste.with(() => this.#once(() => this.#delete(path))).catch(() => {});
  }

  /** Downloads from a path of the server, or from where it sends its clients: the key goes to the server alone. */
  async download<T>(path: string, read: (body: ReadableStream<Uint8Array>) => Promise<T>): Promise<T> {
    return this.#patience.with(() => this.#once(() => this.#download(path, read)));
  }

  /** Ends whatever is under way. */
  close(): void {
    this.#closing.abort();
    this.#agent.destroy();
  }

  async #answer(path: string, body: string | Uint8Array | undefined, prefer?: string): Promise<Answer> {
    const answer = await exchange({
      url: this.#urlOf(path),
      agent: this.#agent,
      headers: {
        ...this.#key(),
        accept: `${protobufType}, application/json`,
        ...(body !== undefined && { 'content-type': typeof body === 'string' ? 'application/json' : protobufType }),
        ...(prefer && { prefer }),
      },
      body,
      silenceMs,
    });
    const { status, headers } = answer;
    if (status >= 300) throw this.#refusal(status, headers['retry-after'], answer.body.toString());
    if (headers['content-type']?.startsWith(protobufType)) return { protobuf: answer.body };
    return { json: JSON.parse(answer.body.toString()) };
  }

  async #delete(path: string): Promise<void> {
    const signal = AbortSignal.any([AbortSignal.timeout(hasteMs), this.#closing.signal]);
    const response = await fetch(this.#urlOf(path), { method: 'DELETE', headers: this.#key(), signal });
    const text = await response.text();
    if (!response.ok) throw this.#refusal(response.status, response.headers.get('retry-after'), text);
  }

  async #download<T>(path: string, read: (body: ReadableStream<Uint8Array>) => Promise<T>): Promise<T> {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), silenceMs);
    const signal = AbortSignal.any([silence.signal, this.#closing.signal]);
    const readAlive = (body: ReadableStream<Uint8Array>) => read(body.pipeThrough(listening(() => timer.refresh())));
    try {
      const response = await fetch(this.#urlOf(path), { headers: this.#key(), redirect: 'manual', signal });
      const { status, headers } = response;
      if (status >= 400) throw this.#refusal(status, headers.get('retry-after'), await response.text());
      const elsewhere = headers.get('location');
      if (!elsewhere) return await readAlive(response.body!);
      const url = new URL(elsewhere, response.url);
      const key = url.origin === new URL(this.url).origin ? this.#key() : {};
      const archive = await fetch(url, { headers: key, signal }).catch(error => {
        throw new Passing(`sends to ${url.host}, which cannot be reached (${reasonOf(error)})`);
      });
      if (!archive.ok) throw new Passing(`sends to ${url.host}, which answered ${archive.status}`);
      return await readAlive(archive.body!);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What breaks `work` may pass, unless the server refuses or it is closed. */
  async #once<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) throw closedError();
    try {
      return await work();
    } catch (error) {
      if (this.#closing.signal.aborted) throw closedError();
      if (error instanceof UserError || error instanceof Passing) throw error;
      // Some hold a poll until there is something to tell.
      if (error instanceof Silence) throw new Passing(`was ${error.message}`, { isBusy: true });
      throw new Passing(`cannot be reached or understood (${reasonOf(error as Error)})`);
    }
  }

  #urlOf(path: string): string {
    return `${this.url}/api/v1/${path}`;
  }

  #key(): Record<string, string> {
    return this.#apiKey ? { 'x-api-key': this.#apiKey } : {};
  }

  #refusal(status: number, retryAfter: string | null | undefined, text: string): Error {
    const words = wordsOf(text);
    const said = `answered ${status}${words && `: ${words}`}`;
    if (mayPass(status)) return passing(said, status, retryAfter);
    const answered = `${this.url} ${said}`;
    if (status === 401 || status === 403)
      return new UserError(`${answered}; is TINKER_API_KEY set to a key of this server?`);
    if (status === 402) return new UserError(`${answered}; go on by --resume when its bill is settled`);
    return isUnknown(status, words) ? new Unknown(answered) : new UserError(answered);
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

/** SkyRL forgets models when it is restarted, and not that they were asked something: what that comes to then says so. */
function isUnknown(status: number, words: string): boolean {
  return status === 404 || status === 410 || /\bmodel \S+ not loaded\b/i.test(words);
}

function reasonOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  return code ?? cause?.code ?? cause?.message ?? error.message;
}

function closedError(): Error {
  return new Error('the engine was closed');
}
