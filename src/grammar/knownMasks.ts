/** A state of a grammar and its mask: a bit for each token id, whether it may come next. */
export interface Known {
  /** States of one name are the same. */
  state: string;
  mask: Int32Array;
}

/** Memory for masks, and how many steps from one to another; beyond either all is learned anew. */
const mostBytes = 32 << 20;
const mostSteps = 100_000;

/** Where tokens lead from one state to the next, as far as that was told. */
export class KnownMasks {
  readonly #states = new Map<string, Known>();
  readonly #steps = new Map<string, Known>();
  #bytes = 0;

  behind({ state }: Known, token: number): Known | undefined {
    return this.#steps.get(`${state} ${token}`);
  }

  /** @returns what was told, or the same as it was known before */
  learn(told: Known, step?: { from: Known; token: number }): Known {
    if (this.#bytes > mostBytes || this.#steps.size > mostSteps) this.clear();
    let known = this.#states.get(told.state);
    if (!known) {
      known = { state: told.state, mask: told.mask };
      this.#states.set(told.state, known);
      this.#bytes += told.mask.byteLength;
    }
    if (step) this.#steps.set(`${step.from.state} ${step.token}`, known);
    return known;
  }

  clear(): void {
    this.#states.clear();
    this.#steps.clear();
    this.#bytes = 0;
  }
}
