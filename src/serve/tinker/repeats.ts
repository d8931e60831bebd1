import { createHash } from 'node:crypto';
import { ApiError } from '../apiError.ts';

/** Numbers of requests that are remembered: far more than a client may have under way. */
const mostKnown = 10_000;

/**
 * The numbered requests of one model or sampling session. A client that lost an answer sends its request again, under the same
 * number: it is answered by the same future, and nothing is done twice.
 */
export class Repeats {
  readonly #known = new Map<number, { digest: string; future: string }>();
  #forgotten = -1;

  /**
   * @param number the request's own; without one, it is never taken for a repetition
   * @throws ApiError 409 where another request had that number, or it is too old to tell
   */
  once(number: number | undefined, body: Uint8Array, begin: () => string): string {
    if (number === undefined) return begin();
    const digest = createHash('sha256').update(body).digest('base64');
    const known = this.#known.get(number);
    if (known?.digest === digest) return known.future;
    if (known) throw new ApiError(409, `Another request had seq_id ${number}.`);
    if (number <= this.#forgotten)
      throw new ApiError(409, `seq_id ${number} is too old: what came of it is forgotten.`);
    const future = begin();
    this.#known.set(number, { digest, future });
    if (this.#known.size > mostKnown) {
      const [oldest] = this.#known.keys();
      this.#known.delete(oldest);
      this.#forgotten = Math.max(this.#forgotten, oldest);
    }
    return future;
  }
}
