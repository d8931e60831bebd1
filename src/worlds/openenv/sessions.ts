import { setTimeout as sleep } from 'node:timers/promises';
import { ToolLost } from '../../tools/tool.ts';
import { Session, SessionRefusal } from './session.ts';
import type { Observed } from './wire.ts';

/** Of an environment that is made first. */
const resetMs = 120_000;
/** Others may have the places that a server has: so often it is asked again. */
const askEveryMs = 1000;
const patienceMs = 600_000;

/** A session after its reset. */
export interface Begun {
  session: Session;
  first: Observed;
  /** Lets it go, and the next one that waits have its place. */
  end(): Promise<void>;
}

/** The sessions of one server: as many as it gives at a time. */
export class Sessions {
  readonly url: string;
  readonly #open = new Set<Session>();
  readonly #waiting: (() => void)[] = [];
  #lastBegun = Date.now();

  constructor(url: string) {
    this.url = url;
  }

  /** @param options of the reset @throws ToolLost where the server is not there, or full for too long; the reason of `signal` */
  async begin(options: object, signal: AbortSignal): Promise<Begun> {
    for (const waitsSince = Date.now(); ; ) {
      const limit = AbortSignal.timeout(resetMs);
      try {
        return await this.#tryOnce(options, AbortSignal.any([signal, limit]));
      } catch (error) {
        signal.throwIfAborted();
        const isFull = error instanceof SessionRefusal && error.code === 'CAPACITY_REACHED';
        if (limit.aborted) throw this.lost(`an episode has not begun within ${resetMs / 1000} s`);
        if (!isFull) throw this.lost((error as Error).message);
        const waitedMs = Date.now() - Math.max(waitsSince, this.#lastBegun);
        if (this.#open.size === 0 && waitedMs > patienceMs) throw this.lost(error.message);
        await this.#turn(signal);
      }
    }
  }

  /** What is thrown where the server does not hold. */
  lost(why: string): ToolLost {
    return new ToolLost(
      `The OpenEnv server at ${this.url} does not do what it is asked for: ${why}. Nothing can be learned without it: see to it ` +
        'that it runs, then go on (a run with --resume, from its last checkpoint)',
    );
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#open, session => session.close()));
  }

  async #tryOnce(options: object, signal: AbortSignal): Promise<Begun> {
    const session = await Session.open(this.url, signal);
    this.#open.add(session);
    const end = async () => {
      await session.close();
      if (this.#open.delete(session)) this.#waiting.shift()?.();
    };
    try {
      const first = await session.reset(options, signal);
      this.#lastBegun = Date.now();
      return { session, first, end };
    } catch (error) {
      this.#open.delete(session);
      await session.close();
      throw error;
    }
  }

  /** Until one of our own sessions has ended, or a while. */
  async #turn(signal: AbortSignal): Promise<void> {
    const end = new AbortController();
    const isNext = () => end.abort();
    this.#waiting.push(isNext);
    await sleep(askEveryMs, undefined, { signal: AbortSignal.any([signal, end.signal]) }).catch(() => {});
    const place = this.#waiting.indexOf(isNext);
    if (place >= 0) this.#waiting.splice(place, 1);
  }
}
