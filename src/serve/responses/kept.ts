import { ApiError } from '../apiError.ts';
import type { WrittenDialogue } from './reading.ts';

/** How long a response can be asked for, and gone on with. */
const lifetimeMs = 3600_000;
const defaultBytes = 64 << 20;

interface Kept {
  response: string;
  dialogue: WrittenDialogue;
  bytes: number;
  timer: NodeJS.Timeout;
}

/** Responses that are over, in memory: for a time, and as many as have room. */
export class KeptResponses {
  /** The oldest first. */
  readonly #kept = new Map<string, Kept>();
  readonly #mostBytes: number;
  #bytes = 0;

  /** @param mostBytes beyond it the oldest are forgotten */
  constructor(mostBytes = defaultBytes) {
    this.#mostBytes = mostBytes;
  }

  keep(id: string, response: object, dialogue: WrittenDialogue): void {
    const written = JSON.stringify(response);
    const texts = [written, ...dialogue.messages, ...dialogue.pending];
    // A character takes up to two bytes.
    const bytes = texts.reduce((sum, text) => sum + 2 * text.length, 0);
    const timer = setTimeout(() => this.#forget(id), lifetimeMs).unref();
    this.#kept.set(id, { response: written, dialogue, bytes, timer });
    this.#bytes += bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#mostBytes) return;
      this.#forget(oldest);
    }
  }

  /** As JSON. @throws ApiError 404 */
  response(id: string): string {
    return this.#find(id, 404).response;
  }

  /** @throws ApiError 400 */
  dialogue(id: string): WrittenDialogue {
    return this.#find(id, 400, 'previous_response_id').dialogue;
  }

  /** @throws ApiError 404 */
  delete(id: string): void {
    this.#find(id, 404);
    this.#forget(id);
  }

  close(): void {
    for (const id of [...this.#kept.keys()]) this.#forget(id);
  }

  #find(id: string, status: number, param?: string): Kept {
    const kept = this.#kept.get(id);
    if (kept) return kept;
    const message = `There is no response ${JSON.stringify(id)}: it was never kept, or is kept no longer.`;
    throw new ApiError(status, message, { code: param ? 'previous_response_not_found' : 'not_found', param });
  }

  #forget(id: string): void {
    const kept = this.#kept.get(id);
    if (!kept) return;
    clearTimeout(kept.timer);
    this.#bytes -= kept.bytes;
    this.#kept.delete(id);
  }
}
