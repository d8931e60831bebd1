import type { LocalEngine, LocalSampler } from '../../engine/local/engine.ts';
import { UserError } from '../../errors.ts';

interface OpenSampler {
  sampler: Promise<LocalSampler>;
  users: number;
}

/** The checkpoints that are sampled from and score: each opened when it is first asked, and freed when others need its memory. */
export class Samplers {
  readonly #engine: LocalEngine;
  /** By folder, the one that was not asked for longest first. */
  readonly #open = new Map<string, OpenSampler>();

  constructor(engine: LocalEngine) {
    this.#engine = engine;
  }

  /** Lets `work` sample from the model in a folder. */
  async use<T>(folder: string, work: (sampler: LocalSampler) => Promise<T>): Promise<T> {
    const open = this.#open.get(folder) ?? this.#opened(folder);
    this.#open.delete(folder);
    this.#open.set(folder, open);
    open.users++;
    try {
      return await work(await open.sampler);
    } finally {
      open.users--;
    }
  }

  /** Does what needs memory; where it is refused, samplers that nobody uses are freed and it is tried again. */
  async makingRoom<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof UserError) || !(await this.#freeOldest())) throw error;
      }
    }
  }

  /** What is in a folder has changed. */
  async forget(folder: string): Promise<void> {
    const open = this.#open.get(folder);
    this.#open.delete(folder);
    if (open?.users === 0) await (await open.sampler).free();
  }

  #opened(folder: string): OpenSampler {
    const sampler = this.makingRoom(() => this.#engine.sampler(folder));
    const open = { sampler, users: 0 };
    sampler.catch(() => this.#open.get(folder) === open && this.#open.delete(folder));
    return open;
  }

  async #freeOldest(): Promise<boolean> {
    const [idle] = [...this.#open].filter(([, { users }]) => users === 0);
    if (!idle) return false;
    await this.forget(idle[0]);
    return true;
  }
}
