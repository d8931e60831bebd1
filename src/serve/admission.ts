import { ApiError } from './apiError.ts';

/** How many sequences are let in at the same time: those that run and those that may wait for them. */
export class Admission {
  readonly #most: number;
  #inside = 0;
  #closed = false;
  #onEmpty: (() => void) | undefined;

  constructor(most: number) {
    this.#most = most;
  }

  get inside(): number {
    return this.#inside;
  }

  /**
   * Takes room for so many sequences.
   * @returns gives it back
   * @throws ApiError 429 where there is none, 503 after `close`.
   */
  enter(sequences: number): () => void {
    if (this.#closed) throw new ApiError(503, 'The server is shutting down.', { code: 'shutting_down' });
    if (this.#inside + sequences > this.#most) {
      throw new ApiError(429, `The server has room for ${this.#most} sequences at a time; try again later.`, {
        type: 'rate_limit_error',
        code: 'server_busy',
      });
    }
    this.#inside += sequences;
    return () => {
      this.#inside -= sequences;
      if (this.#inside === 0) this.#onEmpty?.();
    };
  }

  /** Lets nobody in any more. @returns when all who are inside are done */
  close(): Promise<void> {
    this.#closed = true;
    if (this.#inside === 0) return Promise.resolve();
    return new Promise(resolve => {
      this.#onEmpty = resolve;
    });
  }
}
