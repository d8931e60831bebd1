import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { UserError } from '../errors.ts';
import { SystemRefusal } from '../systemErrors.ts';

/** What FastAPI says of a request that is not as it should be. */
const placed = z.array(z.object({ loc: z.array(z.union([z.string(), z.number()])), msg: z.string() }));

/** A server could not do what it was asked for, and may next time. The message goes on where its address ends: "answered 503". */
export class Passing extends Error {
  override name = 'Passing';
  /** It may be there, and busy with this or with others: patience lasts as long as it answers anything. */
  readonly isBusy: boolean;
  /** How long it asks to be left alone. */
  readonly retryAfterMs: number;

  constructor(message: string, { isBusy = false, retryAfterMs = 0 } = {}) {
    super(message);
    this.isBusy = isBusy;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface PatienceOptions {
  /** How long something is tried again while it fails. Default 10 minutes. */
  patienceMs?: number;
  /** The first pause; each further one is twice as long, up to half a minute. Default 250. */
  firstPauseMs?: number;
  /** Told when a server is waited for, at most once a minute. */
  onNotice?: (notice: string) => void;
}

const longestPauseMs = 30_000;
const noticesEveryMs = 60_000;
/** Of what a server says in its own words. */
const mostSaid = 500;

/** Tries again what fails in passing, with growing pauses; one for all that a server is asked at the same time. */
export class Patience {
  readonly #url: string;
  readonly #advice: string;
  readonly #options: Required<PatienceOptions>;
  #lastSuccess = Number.NEGATIVE_INFINITY;
  #lastNotice = Number.NEGATIVE_INFINITY;

  /** @param advice what to do when it ends */
  constructor(url: string, advice: string, options: PatienceOptions) {
    const { patienceMs = 600_000, firstPauseMs = 250, onNotice = () => {} } = options;
    this.#url = url;
    this.#advice = advice;
    this.#options = { patienceMs, firstPauseMs, onNotice };
  }

  /** What `work` gives in the end. @throws SystemRefusal when patience ends; whatever else `work` throws; AbortError */
  async with<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    let failingSince: number | undefined;
    for (let failures = 0; ; failures++) {
      try {
        const done = await work();
        this.heard();
        return done;
      } catch (error) {
        if (!(error instanceof Passing)) throw error;
        failingSince ??= performance.now();
        // Whoever is busy is there while it answers anything.
        const since = error.isBusy ? Math.max(failingSince, this.#lastSuccess) : failingSince;
        await this.#wait(error, failures, performance.now() - since, signal);
      }
    }
  }

  /** The server has done what it was asked for: it is there. */
  heard(): void {
    this.#lastSuccess = performance.now();
  }

  async #wait({ message, retryAfterMs }: Passing, failures: number, failingMs: number, signal?: AbortSignal) {
    const { patienceMs, firstPauseMs, onNotice } = this.#options;
    if (failingMs > patienceMs) {
      const minutes = Number((patienceMs / 60_000).toPrecision(2));
      throw new SystemRefusal(`${this.#url} ${message}, for ${minutes} minutes now: ${this.#advice}`);
    }
    // Many wait at the same time: they should not all come back at once.
    const growing = Math.min(firstPauseMs * 2 ** failures, longestPauseMs) * (0.5 + Math.random());
    if (performance.now() - this.#lastNotice > noticesEveryMs) {
      this.#lastNotice = performance.now();
      onNotice(`${this.#url} ${message}: trying again until it answers`);
    }
    await sleep(Math.max(Math.min(retryAfterMs, longestPauseMs), growing), undefined, { signal });
  }
}

/** What broke a connection: the network, which may pass, or certificates and the like, which do not. */
export function broken(error: NodeJS.ErrnoException): Error {
  if (error.name === 'AbortError' || error instanceof UserError) return error;
  const what = `cannot be reached (${error.code ?? error.message})`;
  const isPassing = error.code === undefined || /^(E(?!RR_|PROTO)|HPE_)/.test(error.code);
  return isPassing ? new Passing(what) : new UserError(what);
}

/** Whether a refusal may pass: requests that took too long or came too often, and errors of the server's own. */
export function mayPass(status: number): boolean {
  return [408, 425, 429].includes(status) || status >= 500;
}

/** A refusal that may pass. @param retryAfter its header of that name, in seconds */
export function passing(said: string, status: number, retryAfter: string | null | undefined): Passing {
  return new Passing(said, {
    isBusy: status === 408 || status === 429,
    retryAfterMs: 1000 * (Number(retryAfter) || 0),
  });
}

/** An error in a server's own words, in one line that is not too long: some show the whole request. */
export function wordsOf(text: string): string {
  return said(text).replace(/\s+/g, ' ').trim().slice(0, mostSaid);
}

function said(text: string): string {
  try {
    const { error, message, detail } = JSON.parse(text);
    const words = error?.message ?? message ?? detail ?? error;
    if (words === undefined) return text;
    if (typeof words === 'string') return words;
    const { success, data } = placed.safeParse(words);
    return success ? data.map(({ loc, msg }) => `${loc.join('.')}: ${msg}`).join('; ') : JSON.stringify(words);
  } catch {
    return text;
  }
}
