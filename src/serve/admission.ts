import { setMaxListeners } from 'node:events';
import { ApiError, badRequest } from './apiError.ts';

/** A request that was let in. */
export class Visit {
  /** Gives its room back. */
  readonly leave: () => void;
  /** Made when somebody asks for it: it takes longer than all else here. */
  #ending: AbortController | undefined;

  constructor(leave: () => void) {
    this.leave = leave;
  }

  /** Fires when its answer must end. */
  get signal(): AbortSignal {
    return this.#controller().signal;
  }

  readonly end = () => this.#controller().abort();

  #controller(): AbortController {
    if (!this.#ending) {
      this.#ending = new AbortController();
      // Each of its sequences listens.
      setMaxListeners(0, this.#ending.signal);
    }
    return this.#ending;
  }
}

/** How many sequences are let in at the same time: those that run and those that may wait for them. */
export class Admission {
  readonly #most: number;
  /** Each request that is inside; a signal common to all would gather listeners for as long as the server lives. */
  readonly #visits = new Set<Visit>();
  /** Told when nobody is inside. */
  readonly #waiting: (() => void)[] = [];
  #inside = 0;
  #closed = false;
  /** While work is done, or waited for, that lets nobody in beside it. */
  #occupied = false;

  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Takes room for so many sequences.
   * @throws ApiError 429 where there is none, 400 where there never is, 503 during `alone` and after `close`.
   */
  enter(sequences: number): Visit {
    this.#refuseWhereShut();
    if (sequences > this.#most) {
      throw badRequest(`The request asks for ${sequences} sequences; this server takes ${this.#most} at a time.`, 'n');
    }
    if (this.#inside + sequences > this.#most) {
      throw new ApiError(429, `The server has room for ${this.#most} sequences at a time; try again later.`, {
        type: 'rate_limit_error',
        code: 'server_busy',
      });
    }
    const visit = new Visit(() => {
      this.#inside -= sequences;
      this.#visits.delete(visit);
      if (this.#visits.size === 0) for (const tell of this.#waiting.splice(0)) tell();
    });
    this.#inside += sequences;
    this.#visits.add(visit);
    return visit;
  }

  /**
   * Lets nobody in, and when all who are inside have left, does some work.
   * @throws ApiError 503 during another's work and after `close`; whatever `work` throws
   */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    this.#refuseWhereShut();
    this.#occupied = true;
    try {
      await this.#empty();
      return await work();
    } finally {
      this.#occupied = false;
    }
  }

  /** Lets nobody in any more. @returns when all who are inside have left */
  close(): Promise<void> {
    this.#closed = true;
    return this.#empty();
  }

  /** Ends every answer under way. */
  endAll(): void {
    for (const visit of this.#visits) visit.end();
  }

  #refuseWhereShut(): void {
    if (this.#closed) throw new ApiError(503, 'The server is shutting down.', { code: 'shutting_down' });
    if (this.#occupied) throw new ApiError(503, 'The server takes new weights; try again.', { code: 'server_busy' });
  }

  #empty(): Promise<void> {
    if (this.#visits.size === 0) return Promise.resolve();
    return new Promise(resolve => this.#waiting.push(resolve));
  }
}
