import { randomUUID } from 'node:crypto';
import { ApiError } from '../apiError.ts';
import { Repeats } from './repeats.ts';

interface Session {
  heardAt: number;
  /** Requests for models. */
  models: Repeats;
}

const mostSessions = 1000;

/** The clients of the Tinker API, until they are silent for long. */
export class Sessions {
  readonly #sessions = new Map<string, Session>();

  /** @throws ApiError 429 where there are too many */
  create(): string {
    if (this.#sessions.size >= mostSessions) throw new ApiError(429, `There are ${mostSessions} sessions already.`);
    const id = `session_${randomUUID()}`;
    this.#sessions.set(id, { heardAt: Date.now(), models: new Repeats() });
    return id;
  }

  /** @throws ApiError 404 where there is no such session */
  find(id: string): Session {
    const session = this.#sessions.get(id);
    if (session) return session;
    throw new ApiError(
      404,
      `There is no session ${JSON.stringify(id)}: the server was restarted, or it was silent for long.`,
    );
  }

  heard(id: string): void {
    this.find(id).heardAt = Date.now();
  }

  /** The ids of those that were not heard of since a time, in milliseconds. */
  silentSince(time: number): string[] {
    return [...this.#sessions].flatMap(([id, { heardAt }]) => (heardAt > time ? [] : [id]));
  }

  end(id: string): void {
    this.#sessions.delete(id);
  }
}
