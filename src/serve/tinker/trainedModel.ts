import type { LocalSampler, LocalTrainer } from '../../engine/local/engine.ts';
import type {
  AdamParams,
  Datum,
  LoraOptions,
  LossOutput,
  LossSpec,
  ScoredSequence,
  Scores,
  StepStats,
} from '../../engine/types.ts';
import { ApiError } from '../apiError.ts';
import { Repeats } from './repeats.ts';
import type { ServedBase } from './servedBase.ts';

/** A model that a client trains. What it is asked is done one after another, in the order in which it is asked. */
export class TrainedModel {
  readonly id: string;
  readonly base: ServedBase;
  /** The adapters that are trained in the place of all weights. */
  readonly lora: LoraOptions | undefined;
  readonly repeats = new Repeats();
  readonly #trainer: Promise<LocalTrainer>;
  readonly #sampling = new Set<Promise<unknown>>();
  #last: Promise<unknown>;
  #version = 0;
  /** Why the gradients are not what the client takes them for. */
  #spoiled: string | undefined;

  constructor(id: string, base: ServedBase, lora: LoraOptions | undefined, trainer: Promise<LocalTrainer>) {
    this.id = id;
    this.base = base;
    this.lora = lora;
    this.#trainer = trainer;
    this.#last = trainer.catch(() => {});
  }

  /** Counts the changes of the weights: who wants to sample from these has to do so before the next. */
  get version(): number {
    return this.#version;
  }

  /** When it is there. */
  async opened(): Promise<void> {
    await this.#trainer;
  }

  forwardBackward(data: Datum[], loss: LossSpec): Promise<LossOutput> {
    return this.inTurn(async trainer => {
      try {
        return await trainer.forwardBackward(data, loss);
      } catch (error) {
        this.#spoiled = (error as Error).message;
        throw error;
      }
    });
  }

  /** What `forwardBackward` would tell, without learning anything; and entropies. */
  forward(data: Datum[]): Promise<Scores[]> {
    return this.inTurn(async trainer => trainer.score(data.map(scored)));
  }

  /** @throws ApiError 400 where a gradient is missing that the client sent for: half a batch is not learned from */
  optimStep(adam: AdamParams): Promise<StepStats> {
    return this.#changing(trainer => {
      if (this.#spoiled === undefined) return trainer.optimStep(adam);
      throw new ApiError(400, `A forward_backward before failed (${this.#spoiled}): go back to saved weights.`);
    });
  }

  load(folder: string, optimizer: boolean): Promise<void> {
    return this.#changing(async trainer => {
      await trainer.load(folder, { optimizer });
      this.#spoiled = undefined;
    });
  }

  /** Does something with the trainer when everything is done that was asked before. */
  inTurn<T>(work: (trainer: LocalTrainer) => Promise<T>): Promise<T> {
    const done = this.#last.then(async () => work(await this.#trainer));
    this.#last = done.catch(() => {});
    return done;
  }

  /** Samples from the weights as they are; what changes them waits for it. */
  async sample<T>(work: (sampler: LocalSampler) => Promise<T>): Promise<T> {
    const sampling = this.#trainer.then(async trainer => work(await trainer.sampler()));
    const settled = sampling.catch(() => {});
    this.#sampling.add(settled);
    settled.then(() => this.#sampling.delete(settled));
    return sampling;
  }

  /** Frees it when everything is done that it was asked. */
  free(): Promise<void> {
    return this.#changing(async trainer => (await trainer.sampler()).free());
  }

  #changing<T>(work: (trainer: LocalTrainer) => Promise<T>): Promise<T> {
    return this.inTurn(async trainer => {
      this.#version++;
      await Promise.all(this.#sampling);
      return work(trainer);
    });
  }
}

/** What the API tells of a model's adapters. */
export function loraFields(lora: LoraOptions | undefined) {
  return { is_lora: lora !== undefined, lora_rank: lora?.rank ?? 0 };
}

/** Training data as what is to be scored: the tokens that have a weight. */
export function scored({ tokens, weights }: Datum): ScoredSequence {
  return { tokens, mask: Uint8Array.from(weights, weight => (weight === 0 ? 0 : 1)) };
}
