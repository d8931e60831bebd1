import { UserError } from '../../errors.ts';
import { TokenConversation } from '../tokenConversation.ts';
import type {
  AdamParams,
  Datum,
  LossOutput,
  LossSpec,
  Sampler,
  SaveOptions,
  ScoredSequence,
  Scores,
  StepStats,
  TokenIds,
  Trainer,
} from '../types.ts';
import type { ConnectionOptions } from './connection.ts';
import { OpenAIEngine } from './engine.ts';
import { SentWeights } from './sentWeights.ts';
import type { ServedModel } from './servedModel.ts';
import { WeightsProbe } from './weightsProbe.ts';

export interface ServedPolicyOptions extends ConnectionOptions {
  /** Of the server. */
  url: string;
  /** Folder for the weights, which the server sees under the same path. */
  weights: string;
  /** Folder of the model that is trained: by its tokens the server is spoken to. */
  checkpoint: string;
  /** What the server is asked about, to see which weights it has; some hundred tokens. */
  prompt: TokenIds;
  /** Nats by which it may find these tokens more or less probable than this machine does, on average. */
  tolerance: number;
}

const howToServe =
  'it must see that folder under the same path, and be started with VLLM_SERVER_DEV_MODE=1 (vLLM) or --weights-from (sod serve)';

/**
 * A policy that learns here and samples on a server. Before it samples, the server gets its weights if they are others than
 * last time: written whole to a folder, loaded there, and seen to be there. Before anything is learned from what was sampled,
 * they are seen to be there still.
 */
export class ServedPolicy implements Trainer {
  readonly samplesApart = true;
  readonly #trainer: Trainer;
  readonly #engine: OpenAIEngine;
  readonly #served: ServedModel;
  readonly #sent: SentWeights;
  readonly #probe: WeightsProbe;
  #isThere = false;
  readonly #sampler: Sampler;
  /** Done when the weights are seen to be there still; not begun since somebody sampled. */
  #check: Promise<void> | undefined = Promise.resolve();

  private constructor(
    trainer: Trainer,
    { url, weights, prompt, tolerance }: ServedPolicyOptions,
    engine: OpenAIEngine,
    served: ServedModel,
  ) {
    this.#trainer = trainer;
    this.#engine = engine;
    this.#served = served;
    this.#sampler = this.#checkedAfter(served);
    this.#sent = new SentWeights(weights);
    this.#probe = new WeightsProbe({ url, local: trainer, served, prompt, tolerance });
  }

  /** @throws UserError where there is no such server, it has other tokens, or another process has the folder */
  static async open(trainer: Trainer, options: ServedPolicyOptions): Promise<ServedPolicy> {
    const engine = await OpenAIEngine.open(options.url, options);
    try {
      return new ServedPolicy(trainer, options, engine, await engine.sampler(options.checkpoint));
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  forwardBackward(data: Datum[], loss: LossSpec): Promise<LossOutput> {
    return this.#afterCheck(() => this.#trainer.forwardBackward(data, loss));
  }

  optimStep(adam: AdamParams): Promise<StepStats> {
    this.#isThere = false;
    return this.#afterCheck(() => this.#trainer.optimStep(adam));
  }

  score(sequences: ScoredSequence[], alternatives?: number): Promise<Scores[]> {
    return this.#trainer.score(sequences, alternatives);
  }

  /**
   * Samples by the weights as they are now; after updates, it has to be asked for again, when nobody samples by the earlier ones
   * any more.
   * @throws UserError if the server does not take the weights, or has others than it was told to load
   */
  async sampler(): Promise<Sampler> {
    if (!this.#isThere) await this.#afterCheck(() => this.#send());
    this.#check = undefined;
    return this.#sampler;
  }

  save(dir: string, options?: SaveOptions): Promise<void> {
    return this.#trainer.save(dir, options);
  }

  load(dir: string, options?: { optimizer?: boolean }): Promise<void> {
    this.#isThere = false;
    this.#check = Promise.resolve();
    return this.#trainer.load(dir, options);
  }

  /** Leaves nothing in the folder for the weights. What learns here stays. */
  async close(): Promise<void> {
    this.#sent.close();
    await this.#engine.close();
  }

  async #send(): Promise<void> {
    const { folder, version } = await this.#sent.write(folder => this.#trainer.save(folder, { merged: true }));
    await this.#served.load(folder, version).catch(error => {
      throw error instanceof UserError
        ? new UserError(`${error.message}, asked to load ${folder}: ${howToServe}`)
        : error;
    });
    await this.#probe.refuseOtherWeights();
    this.#sent.removeOld();
    this.#isThere = true;
  }

  /** Whoever has sampled wants to know that it was by these weights. */
  #checkedAfter(served: ServedModel): Sampler {
    const generate: Sampler['generate'] = async (...asked) => {
      const completion = await served.generate(...asked);
      this.#check = undefined;
      return completion;
    };
    return { generate, open: async prompt => new TokenConversation(generate, prompt, served.contextTokens) };
  }

  /** All that is asked for waits for the same check, and so is done in the order in which it was asked for. */
  #afterCheck<T>(work: () => Promise<T>): Promise<T> {
    this.#check ??= this.#probe.refuseChangedWeights();
    return this.#check.then(work);
  }
}
