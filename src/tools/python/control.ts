const SIGINT = 2;
/** Sleep is counted in thousandths of a millisecond. */
const UNITS_PER_MS = 1000;

/** What an interpreter's thread shares with the one that watches it. */
export class Control {
  /** To make the same control of, in the other thread. */
  readonly buffer: SharedArrayBuffer;
  readonly #signal: Int32Array;
  readonly #slept: BigInt64Array;
  /** What sleeps beyond this is stopped. */
  #sleepEnd = Number.POSITIVE_INFINITY;

  constructor(buffer = new SharedArrayBuffer(16)) {
    this.buffer = buffer;
    this.#signal = new Int32Array(buffer, 0, 1);
    this.#slept = new BigInt64Array(buffer, 8, 1);
  }

  /** Asks the running code to stop. */
  interrupt(): void {
    Atomics.store(this.#signal, 0, SIGINT);
  }

  /** The signal that has come since, or 0; it is delivered once. */
  takeSignal(): number {
    return Atomics.exchange(this.#signal, 0, 0);
  }

  /** How long the code that runs now may sleep in all, at most. */
  limitSleep(ms: number): void {
    this.#sleepEnd = this.sleptMs + ms;
  }

  addSleep(ms: number): void {
    Atomics.add(this.#slept, 0, BigInt(ms * UNITS_PER_MS));
    if (this.sleptMs > this.#sleepEnd) this.interrupt();
  }

  /** Milliseconds that code has slept since the thread started. */
  get sleptMs(): number {
    return Number(Atomics.load(this.#slept, 0)) / UNITS_PER_MS;
  }
}
