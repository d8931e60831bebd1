import { abortable } from '../../abortable.ts';
import type { Connection } from './connection.ts';

/** So many are started before they are asked for. */
const startedAhead = 2;

/** Connections of one trajectory each: a bounded number is lent, the next ones are ready before they are asked for. */
export class ConnectionPool {
  readonly #open: () => Promise<Connection>;
  readonly #atOnce: number;
  readonly #spare: Promise<Connection>[];
  readonly #waiting: (() => void)[] = [];
  #lent = 0;
  #isClosed = false;

  /** @param first a connection that is there already */
  constructor(first: Connection, atOnce: number, open: () => Promise<Connection>) {
    this.#spare = [Promise.resolve(first)];
    this.#atOnce = atOnce;
    this.#open = open;
  }

  /** A connection that nobody has used, for one who gives it back. @throws ToolLost where it cannot be opened; AbortError */
  async take(signal: AbortSignal): Promise<Connection> {
    await this.#turn(signal);
    const fresh = this.#fresh();
    try {
      const connection = await abortable(fresh, signal);
      this.#startAhead();
      return connection;
    } catch (error) {
      if (signal.aborted) this.#keep(fresh);
      this.#free();
      throw error;
    }
  }

  /** Ends the connection; when its process has ended, the next in the line may have one. */
  async giveBack(connection: Connection): Promise<void> {
    await connection.close();
    this.#free();
  }

  /** Ends those that are not lent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#spare.splice(0).map(spare => spare.then(connection => connection.close()).catch(() => {})));
  }

  /** Of those that wait, one may have ended. */
  async #fresh(): Promise<Connection> {
    for (let spare = this.#spare.shift(); spare; spare = this.#spare.shift()) {
      const connection = await spare;
      if (!connection.hasEnded) return connection;
    }
    return this.#open();
  }

  #startAhead(): void {
    while (!this.#isClosed && this.#spare.length < startedAhead) this.#keep(this.#open());
  }

  #keep(spare: Promise<Connection>): void {
    spare.catch(() => {}); // Who takes it is told.
    this.#spare.push(spare);
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#lent < this.#atOnce) {
      this.#lent++;
      return;
    }
    let isNext = () => {};
    const turn = new Promise<void>(resolve => {
      isNext = resolve;
    });
    this.#waiting.push(isNext);
    try {
      await abortable(turn, signal);
    } catch (error) {
      const place = this.#waiting.indexOf(isNext);
      if (place >= 0) this.#waiting.splice(place, 1);
      else this.#free(); // Its turn came as it gave up.
      throw error;
    }
  }

  #free(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#lent--;
  }
}
