import { setMaxListeners } from 'node:events';
import { ApiError, badRequest } from './apiError.ts';

/** A request that was let in. */
export interface Visit {
  /** Fires when its answer must end. */
  signal: AbortSignal;
  end(): void;
  /** Gives its room back. */
  leave(): void;
}

/** How many sequences are let in at the same time: those that run and those that may wait for them. */
export class Admission {
  readonly #most: number;
  /** Each request that is inside; a signal common to all would gather listeners for as long as the server lives. */
  readonly #visits = new Set<AbortController>();
  #inside = 0;
  #closed = false;
  #onEmpty: (() => void) | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Takes room for so many sequences.
   * @throws ApiError 429 where there is none, 400 where there never is, 503 after `close`.
   */
  enter(sequences: number): Visit {
    if (this.#closed) throw new ApiError(503, 'The server is shutting down.', { code: 'shutting_down' });
    if (sequences > this.#most) {
      throw badRequest(`The request asks for ${sequences} sequences; this server takes ${this.#most} at a time.`, 'n');
    }
    if (this.#inside + sequences > this.#most) {
      throw new ApiError(429, `The server has room for ${this.#most} sequences at a time; try again later.`, {
        type: 'rate_limit_error',
        code: 'server_busy',
      });
    }
    const controller = new AbortController();
    // Each of its sequences listens.
    setMaxListeners(0, controller.signal);
    this.#inside += sequences;
    this.#visits.add(controller);
    return {
      signal: controller.signal,
      end: () => controller.abort(),
      leave: () => {
        this.#inside -= sequences;
        this.#visits.delete(controller);
        if (this.#visits.size === 0) this.#onEmpty?.();
      },
    };
  }

  /** Lets nobody in any more. @returns when all who are inside have left */
  close(): Promise<void> {
    this.#closed = true;
    if (this.#visits.size === 0) return Promise.resolve();
    return new Promise(resolve => {
      this.#onEmpty = resolve;
    });
  }

  /** Ends every answer under way. */
  endAll(): void {
    for (const visit of this.#visits) visit.abort();
  }
}
