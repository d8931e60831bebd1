import { randomUUID } from 'node:crypto';
import { UserError } from '../../errors.ts';
import { ApiError } from '../apiError.ts';

/** What came of a request, in the form that its client reads. */
export interface Result {
  json(): object;
  protobuf?(): Uint8Array;
}

/** What a future has come to. */
export type Outcome = { result: Result } | { error: string; category: 'user' | 'server' };

interface Future {
  outcome: Promise<Outcome>;
  /** When it was settled. */
  settledAt?: number;
}

/** An answer may be lost on its way and be asked for again. */
const keptMs = 600_000;
const mostKept = 20_000;
const mostPending = 10_000;

/** Requests under way and their results, each by an id by which it is asked for until it is there. */
export class Futures {
  readonly #futures = new Map<string, Future>();
  readonly #onError: (error: Error) => void;
  #pending = 0;

  /** @param onError told what failed without a client being at fault */
  constructor(onError: (error: Error) => void) {
    this.#onError = onError;
  }

  /** To be asked before work begins. @throws ApiError 429 where too much is under way already */
  refuseFull(): void {
    if (this.#pending < mostPending) return;
    throw new ApiError(429, `${mostPending} requests are under way already; try again later.`);
  }

  /** @returns the id of what `work` will come to */
  begin(work: Promise<Result>): string {
    this.#forget();
    this.#pending++;
    const id = randomUUID();
    const future: Future = {
      outcome: work.then(
        result => ({ result }),
        error => this.#failure(error),
      ),
    };
    future.outcome.then(() => {
      future.settledAt = Date.now();
      this.#pending--;
    });
    this.#futures.set(id, future);
    return id;
  }

  /**
   * Waits for a future, but not longer than a client or a proxy holds a connection.
   * @returns undefined where it is still under way
   * @throws ApiError 404 where there is none, or it is too long ago
   */
  async retrieve(id: string, waitMs: number): Promise<Outcome | undefined> {
    const future = this.#futures.get(id);
    if (!future) throw new ApiError(404, `There is no request ${JSON.stringify(id.slice(0, 100))} under way.`);
    return new Promise(resolve => {
      const timer = setTimeout(resolve, waitMs, undefined);
      future.outcome.then(outcome => {
        clearTimeout(timer);
        resolve(outcome);
      });
    });
  }

  #failure(error: Error): Outcome {
    if (error instanceof ApiError || error instanceof UserError) return { error: error.message, category: 'user' };
    this.#onError(error);
    return { error: 'The server failed to answer.', category: 'server' };
  }

  /** The oldest results go: those that nobody will ask for any more, and more than may be kept. */
  #forget(): void {
    const dueBefore = Date.now() - keptMs;
    for (const [id, { settledAt }] of this.#futures) {
      if (settledAt === undefined) continue;
      if (settledAt > dueBefore && this.#futures.size < mostKept) break;
      this.#futures.delete(id);
    }
  }
}
