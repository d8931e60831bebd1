/** So many steps after a decision, the number of threads that was slower is tried again. */
const period = 256;
/** Steps that are compared. */
const trial = 8;

/**
 * One thread or all, for steps so short that the threads' waiting for each other counts: all are faster where the machine is
 * idle, one is faster where tools need the other cores. Found out by trying, since it changes while a rollout goes on.
 */
export class ThreadChoice {
  readonly #all: number;
  #useAll = true;
  #steps = 0;
  /** What the newest steps took for a unit of work, before and during a trial. */
  #before: number[] = [];
  #during: number[] = [];

  constructor(all: number) {
    this.#all = all;
  }

  /** How many threads do the next step. */
  get threads(): number {
    return this.#useAll !== this.#trying ? this.#all : 1;
  }

  /** What a step with `threads` took. */
  note(milliseconds: number, work: number): void {
    (this.#trying ? this.#during : this.#before).push(milliseconds / work);
    if (++this.#steps < period) return;
    if (typical(this.#during) < typical(this.#before.slice(-trial))) this.#useAll = !this.#useAll;
    this.#steps = 0;
    this.#before = [];
    this.#during = [];
  }

  get #trying(): boolean {
    return this.#steps >= period - trial;
  }
}

/** The mean without the two largest: something else may have had the core. */
function typical(costs: number[]): number {
  const kept = [...costs].sort((a, b) => a - b).slice(0, -2);
  return kept.reduce((a, b) => a + b, 0) / kept.length;
}
