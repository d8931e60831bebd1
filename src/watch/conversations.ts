import { ApiError } from '../serve/apiError.ts';
import type { ChatAnswer, ChatRequest } from './api.ts';
import type { RunModel } from './runModel.ts';
import type { WatchedRun } from './watchedRun.ts';

/** A model that nobody has asked for so long leaves the memory. */
const idleMs = 10 * 60_000;
const mostWaiting = 16;

/** Lets people talk to the models of runs: one model at a time is in memory, and answers one question after another. */
export class Conversations {
  #inMemory: { name: string; model: Promise<RunModel> } | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #idle: NodeJS.Timeout | undefined;

  /** @throws UserError where the model cannot be opened; the reason of `signal`; ApiError where too many wait already */
  async answer(run: WatchedRun, { model, ...question }: ChatRequest, signal: AbortSignal): Promise<ChatAnswer> {
    if (this.#waiting === mostWaiting) throw new ApiError(503, `${mostWaiting} questions are waiting already.`);
    this.#waiting++;
    clearTimeout(this.#idle);
    const before = this.#last;
    const answer = (async () => {
      await before.catch(() => {});
      signal.throwIfAborted();
      return (await this.#opened(run, model, signal)).answer(question, signal);
    })();
    this.#last = answer;
    try {
      return await answer;
    } finally {
      this.#waiting--;
      if (this.#waiting === 0) this.#idle = setTimeout(() => this.close(), idleMs).unref();
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const model = this.#inMemory?.model;
    this.#inMemory = undefined;
    await model?.then(opened => opened.close()).catch(() => {});
  }

  async #opened(run: WatchedRun, model: string, signal: AbortSignal): Promise<RunModel> {
    const name = run.modelName(model);
    if (this.#inMemory?.name !== name) {
      await this.close();
      this.#inMemory = {
        name,
        model: import('./runModel.ts').then(({ openRunModel }) => run.openModel(openRunModel, model, signal)),
      };
    }
    try {
      return await this.#inMemory.model;
    } catch (error) {
      this.#inMemory = undefined;
      throw error;
    }
  }
}
