import { Unknown } from './connection.ts';

/** Weights that a server samples from, and the number of the next request to it. */
export interface SamplingSession {
  id: string;
  next: number;
}

/** How often a session may be lost in a row. */
const mostLosses = 3;

/** The sampling session of weights, opened when it is first asked for something, and again where the server has lost it. */
export class Sampling {
  readonly #open: () => Promise<SamplingSession>;
  #current: Promise<SamplingSession> | undefined;

  constructor(open: () => Promise<SamplingSession>) {
    this.#open = open;
  }

  /** The weights have changed. */
  end(): void {
    this.#current = undefined;
  }

  async within<T>(ask: (session: SamplingSession) => Promise<T>): Promise<T> {
    for (let losses = 0; ; ) {
      this.#current ??= this.#open();
      const current = this.#current;
      const session = await current;
      try {
        return await ask(session);
      } catch (error) {
        if (!(error instanceof Unknown) || ++losses > mostLosses) throw error;
        if (this.#current === current) this.end();
      }
    }
  }
}
