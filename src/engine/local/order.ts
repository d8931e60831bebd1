/**
 * In which order a model does what it is asked for, where that takes pieces: what reads its weights goes on side by side, and what
 * changes them waits for all that was asked for before, as what is asked for after waits for it.
 */
export class Order {
  #changed: Promise<unknown> = Promise.resolve();
  #learned: Promise<unknown> = Promise.resolve();
  readonly #reading = new Set<Promise<unknown>>();

  /** When the weights are those that everything asked for until now makes of them. */
  get changed(): Promise<unknown> {
    return this.#changed;
  }

  reading<T>(work: () => T | Promise<T>): Promise<T> {
    const done = this.#changed.then(work);
    this.#reading.add(done);
    const forget = () => this.#reading.delete(done);
    done.then(forget, forget);
    return done;
  }

  /** Reads the weights and adds to their gradients: one after the other. */
  learning<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#learned;
    const done = this.reading(() => before.then(work));
    this.#learned = done.catch(() => {});
    return done;
  }

  changing<T>(work: () => T): Promise<T> {
    const done = Promise.allSettled([this.#changed, ...this.#reading]).then(work);
    this.#changed = done.catch(() => {});
    return done;
  }
}
