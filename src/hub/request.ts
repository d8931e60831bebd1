import { UserError } from '../errors.ts';
import { type Hub, pageOf } from './source.ts';

/** The server cannot be reached or is not well: it may pass. */
export class Unreachable extends UserError {
  /** How long the server asks to be left alone. */
  readonly retryAfterMs?: number;

  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

export interface Answer {
  /** 2xx or 416. */
  status: number;
  headers: Headers;
  /** @throws Unreachable when the connection breaks. */
  body: AsyncIterable<Uint8Array>;
}

/** Longest silence of a server before it counts as gone. */
const silenceMs = 60_000;

/**
 * One GET, wherever it is redirected to; `read` takes the answer. The token goes to the endpoint alone: fetch leaves it
 * out of what it sends to another origin.
 * @throws Unreachable; UserError if the Hub refuses; the signal's reason.
 */
export async function ask<T>(
  hub: Hub,
  url: string,
  headers: Record<string, string>,
  read: (answer: Answer) => Promise<T>,
): Promise<T> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error(`silent for ${silenceMs / 1000} s`)), silenceMs);
  const signal = hub.signal ? AbortSignal.any([hub.signal, silence.signal]) : silence.signal;
  const isOwn = new URL(url).origin === new URL(hub.endpoint).origin;
  const authorization = hub.token && isOwn ? { Authorization: `Bearer ${hub.token}` } : undefined;
  try {
    const response = await fetch(url, { headers: { ...headers, ...authorization }, signal }).catch(error => {
      throw broken(hub, url, error);
    });
    if (!response.ok && response.status !== 416) throw refusal(hub, response);
    return await read({ status: response.status, headers: response.headers, body: heard(hub, response, timer) });
  } finally {
    clearTimeout(timer);
    // Closes the connection if not all of the answer was read.
    silence.abort();
  }
}

async function* heard(hub: Hub, response: Response, timer: NodeJS.Timeout): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response.body ?? []) {
      timer.refresh();
      yield chunk;
    }
  } catch (error) {
    throw broken(hub, response.url, error as Error);
  }
}

function broken({ signal }: Hub, url: string, error: Error): unknown {
  if (signal?.aborted) return signal.reason;
  const cause = error.cause as NodeJS.ErrnoException | undefined;
  return new Unreachable(`${new URL(url).host} cannot be reached (${cause?.code ?? cause?.message ?? error.message})`);
}

function refusal(hub: Hub, { status, headers, url }: Response): UserError {
  const { endpoint, token, type, name, revision } = hub;
  const page = pageOf(hub);
  const { host, origin } = new URL(url);
  const said = headers.get('x-error-message');
  const answered = `${host} answered ${status}${said ? ` (${said})` : ''}`;
  // What the Hub redirects to is its own choice, so a refusal there, as of an address that has expired, is no final word.
  if ([408, 429].includes(status) || status >= 500 || origin !== new URL(endpoint).origin) {
    return new Unreachable(answered, retryAfterMs(headers));
  }
  if (status === 401 || status === 403) {
    return new UserError(
      token
        ? `${answered}: ${page} is not open to the token in HF_TOKEN, or does not exist; check the name, ` +
            `accept the licence at ${page} if it asks for that, or set another HF_TOKEN`
        : `${answered}: ${page} is not open to everybody, or does not exist; check the name, ` +
            `accept the licence at ${page} if it asks for that, and set HF_TOKEN to a token from ${endpoint}/settings/tokens`,
    );
  }
  if (status !== 404) return new UserError(`${answered} to ${url}; check HF_ENDPOINT (${endpoint})`);
  const code = headers.get('x-error-code');
  if (code === 'RevisionNotFound') {
    return new UserError(`${page} has no revision ${revision}: name a branch, tag or commit of it`);
  }
  if (code === 'EntryNotFound') return new UserError(`${page} lists a file that it does not have: ${url}`);
  return new UserError(`${endpoint} has no ${type} ${name} at revision ${revision}: check the name at ${page}`);
}

/** In a header of HTTP, as seconds or a date, or in the Hub's own of its rate limits. */
function retryAfterMs(headers: Headers): number | undefined {
  const limit = /;\s*r=0\s*;\s*t=(\d+)/.exec(headers.get('ratelimit') ?? '');
  const value = limit?.[1] ?? headers.get('retry-after') ?? '';
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return ms > 0 ? ms : undefined;
}
