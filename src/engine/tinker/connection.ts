import { UserError } from '../../errors.ts';
import { mayPass, Passing, Patience, type PatienceOptions, passing, wordsOf } from '../patience.ts';
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
/**
 * Requests to one server, sent again with growing pauses until they are answered. That never does anything twice: what changes
 * something carries a number by which the server knows it again.
 */
export class Connection {
  readonly url: string;
  readonly #apiKey: string | undefined;
  readonly #patience: Patience;
  readonly #underWay = new Set<AbortController>();
  #closed = false;

  constructor({ url, apiKey, ...patience }: ConnectionOptions) {
    this.url = url.replace(/\/+$/, '');
    this.#apiKey = apiKey;
    this.#patience = new Patience(this.url, 'go on by --resume when it works again', patience);
  }

  /**
   * Sends a request until `read` understands the answer.
   * @param body of a POST, JSON or the bytes of a message; none: a GET
   * @param read throws what it likes where the answer makes no sense
   * @throws UserError in the server's words where it refuses, or is away for too long
   */
  async ask<T>(path: string, body: object | Uint8Array | undefined, read: (answer: Answer) => T): Promise<T> {
    return this.#patience.with(() => this.#once(path, body, async response => read(await answerOf(response))));
  }

  /** The same once, for what matters only if it comes in time. */
  async tell(path: string, body: object): Promise<void> {
    await this.#once(path, body, answerOf).catch(() => {});
  }

  /** Downloads from a path of the server, or from where it sends its clients: the key goes to the server alone. */
  async download<T>(path: string, read: (body: ReadableStream<Uint8Array>) => Promise<T>): Promise<T> {
    return this.#patience.with(() =>
      this.#once(path, undefined, async (response, { signal, heard }) => {
        const readAlive = (body: ReadableStream<Uint8Array>) => read(body.pipeThrough(listening(heard)));
        const elsewhere = response.headers.get('location');
        if (!elsewhere) return readAlive(response.body!);
        const url = new URL(elsewhere, response.url);
        const headers = url.origin === new URL(this.url).origin ? this.#headers() : {};
        const archive = await fetch(url, { headers, signal }).catch(error => {
          throw new Passing(`sends to ${url.host}, which cannot be reached (${reasonOf(error)})`);
        });
        if (!archive.ok) throw new Passing(`sends to ${url.host}, which answered ${archive.status}`);
        return readAlive(archive.body!);
      }),
    );
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
      throw new Passing(`cannot be reached or understood (${reasonOf(error as Error)})`);
    } finally {
      clearTimeout(timer);
      this.#underWay.delete(request);
    }
  }

  #headers(): Record<string, string> {
    return this.#apiKey ? { 'x-api-key': this.#apiKey } : {};
  }

  async #refusal(response: Response): Promise<Error> {
    const { status, headers } = response;
    const words = wordsOf(await response.text());
    const said = `answered ${status}${words && `: ${words}`}`;
    if (mayPass(status)) return passing(said, status, headers.get('retry-after'));
    const answered = `${this.url} ${said}`;
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

function reasonOf(error: Error): string {
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  return cause?.code ?? cause?.message ?? error.message;
}

function closedError(): Error {
  return new Error('the engine was closed');
}
