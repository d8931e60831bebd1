import { ToolError } from '../../tools/tool.ts';
import { observationText } from './observation.ts';
import { type Session, SessionLost, SessionRefusal } from './session.ts';
import type { Begun, Sessions } from './sessions.ts';
import type { Observed } from './wire.ts';

/** One trajectory in an environment: its session begins with the first action. */
export class Episode {
  /** The sum of the rewards. */
  reward = 0;
  /** The server has said so, or it answers no more. */
  isOver = false;
  readonly #sessions: Sessions;
  readonly #options: object;
  readonly #firstText: string;
  #begun: Promise<Begun> | undefined;

  /** @param options of its reset @param firstText what the task's prompt shows as the observation of that */
  constructor(sessions: Sessions, options: object, firstText: string) {
    this.#sessions = sessions;
    this.#options = options;
    this.#firstText = firstText;
  }

  /** Takes a step. @throws as `ask` */
  async step(action: object, timeoutMs: number, signal: AbortSignal): Promise<Record<string, unknown>> {
    return this.#took(await this.ask((session, limit) => session.step(action, limit), timeoutMs, signal));
  }

  /** @throws ToolError where the server refuses, or is too slow; ToolLost; the reason of `signal` */
  async ask<T>(
    ask: (session: Session, signal: AbortSignal) => Promise<T>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<T> {
    const { session } = await this.#begin(signal);
    if (this.isOver) throw new ToolError('exception', 'Error: the episode is over.');
    const limit = AbortSignal.timeout(timeoutMs);
    try {
      return await ask(session, AbortSignal.any([signal, limit]));
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof SessionLost) throw this.#sessions.lost(error.message);
      if (error instanceof SessionRefusal) {
        const kind = error.code === 'VALIDATION_ERROR' ? 'invalid_arguments' : 'exception';
        throw new ToolError(kind, `Error: ${error.message}`);
      }
      if (!limit.aborted) throw error;
      this.isOver = true;
      throw new ToolError('timeout', `Error: the environment did not answer within ${timeoutMs / 1000} s.`);
    }
  }

  async end(): Promise<void> {
    const begun = await this.#begun?.catch(() => undefined);
    await begun?.end();
  }

  #begin(signal: AbortSignal): Promise<Begun> {
    this.#begun ??= this.#sessions.begin(this.#options, signal).then(begun => {
      if (observationText(begun.first.observation) === this.#firstText) {
        this.#took(begun.first);
        return begun;
      }
      return begun.end().then(() => {
        throw this.#sessions.lost(
          `after a reset with ${JSON.stringify(this.#options)} it shows another first observation than before`,
        );
      });
    });
    return this.#begun;
  }

  #took({ observation, reward, done }: Observed): Record<string, unknown> {
    this.reward += reward ?? 0;
    this.isOver ||= done;
    return observation;
  }
}
