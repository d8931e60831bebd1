import { readCheckpoint, writeCheckpoint } from '../../checkpoint/checkpoint.ts';
import { UserError } from '../../errors.ts';
import { currentFolder } from '../../files.ts';
import { MaskThread } from '../../grammar/maskThread.ts';
import { sameShape } from '../../model/config.ts';
import type { TrainedParameters } from '../../model/trainedParameters.ts';
import type { Pieces } from '../../tensor/pieces.ts';
import type {
  AdamParams,
  Completion,
  Datum,
  LossOutput,
  LossSpec,
  SampledToken,
  SamplingOptions,
  SaveOptions,
  ScoredSequence,
  Scores,
  StepStats,
  TokenIds,
} from '../types.ts';
import { Generator, type GeneratorOptions } from './generator.ts';
import { type Kernels, kernelsHere, withKernels } from './kernels.ts';
import { forwardBackward, update } from './learner.ts';
import { availableMemory, type MemoryPlan, refuseCache } from './memory.ts';
import { keptRows, rowsPerPass, tokensInCache } from './memoryNeed.ts';
import type { OpenedWeights, OpenOptions } from './openWeights.ts';
import { Order } from './order.ts';
import { score } from './scorer.ts';
import { loadAdapter, saveAdapter, saveMerged, type TrainedAdapter } from './trainedAdapter.ts';
import { fillParts, readTrainer, storedParts, writeTrainer } from './trainerFiles.ts';

export interface ModelOptions extends OpenOptions {
  /** Memory for keys and values while generating. */
  cacheBytes: number;
  maxBatch: number;
  /** Told when a sequence can go on that waited for what its grammar allows. */
  onMask?: () => void;
}

/** One checkpoint in this thread's memory: scores, samples and, where it is trainable, learns. */
export class LocalModel {
  /** Of what is asked of it. */
  readonly order = new Order();
  readonly #checkpointDir: string;
  readonly #opened: OpenedWeights;
  readonly #options: ModelOptions;
  readonly #rowsPerPass: number;
  /** Rows of a training pass up to which its activations are kept. */
  readonly #keptRows: number;
  #version = 0;
  /** What the trained weights are computed by: one, unless they were loaded from elsewhere; the last goes on. */
  #kernels: Kernels[];

  constructor(checkpointDir: string, opened: OpenedWeights, options: ModelOptions) {
    this.#checkpointDir = checkpointDir;
    this.#opened = opened;
    this.#options = options;
    this.#kernels = [kernelsHere(options.dtype)];
    const { config } = opened.weights;
    this.#rowsPerPass = rowsPerPass(config, options);
    this.#keptRows = keptRows(config, options, opened.plan.recompute);
  }

  /** How it is held. */
  get plan(): MemoryPlan {
    return this.#opened.plan;
  }

  /** Of all models that share the weights and are not trained. */
  get generator(): Generator {
    const { generation, rotary } = this.#opened;
    if (!generation.generator) {
      refuseCache(this.#checkpointDir, this.#options.cacheBytes, availableMemory(this.#options.device));
      generation.generator = new Generator(generation.weights, rotary, this.#generatorOptions());
    }
    return generation.generator;
  }

  /** Whether it has sequences to advance. */
  get generating(): boolean {
    return this.#opened.generation.generator?.busy ?? false;
  }

  generate(
    id: number,
    prompt: TokenIds,
    options: SamplingOptions,
    onToken?: (token: SampledToken) => void,
  ): Promise<Completion> {
    return this.generator.generate(id, prompt, options, onToken, this.#opened.weights);
  }

  score(sequences: ScoredSequence[], alternatives?: number): Pieces<Scores[]> {
    return score(this.#opened.weights, this.#opened.rotary, sequences, this.#rowsPerPass, alternatives);
  }

  forwardBackward(data: Datum[], loss: LossSpec): Pieces<LossOutput> {
    const { weights, rotary } = this.#opened;
    return forwardBackward(weights, rotary, data, loss, this.#rowsPerPass, this.#keptRows);
  }

  optimStep(adam: AdamParams): StepStats {
    const { gradNorm } = update(this.#opened.weights, this.#version + 1, adam);
    this.#version++;
    this.#opened.generation.generator?.forget();
    return { gradNorm, version: this.#version };
  }

  /**
   * A Hugging Face checkpoint in the dtype the weights came in, or adapters as PEFT writes them; exact fp32 and the optimizer's state
   * with `optimizer`.
   */
  async save(dir: string, { optimizer = false, merged = false }: SaveOptions): Promise<void> {
    const training = this.#training();
    const from = this.#checkpointDir;
    const extra = (folder: string) => {
      if (optimizer) writeTrainer(folder, training, { version: this.#version, kernels: this.#kernels });
    };
    const adapter = this.#adapter();
    if (adapter) return merged ? saveMerged(dir, adapter) : saveAdapter(dir, adapter, extra);
    const dtypeOf = (name: string) => (optimizer ? 'F32' : this.#opened.dtypes.get(name)!);
    const tensors = storedParts(training, training.parameters, dtypeOf);
    await writeCheckpoint(dir, this.#opened.weights.config, tensors, { from, extra });
  }

  /**
   * @param optimizer whether the optimizer's state has to be there
   * @returns what the weights were computed by so far, each once, and last what goes on
   */
  load(dir: string, optimizer: boolean): readonly Kernels[] {
    const training = this.#training();
    const folder = currentFolder(dir);
    const adapter = this.#adapter();
    if (adapter) loadAdapter(folder, adapter);
    else this.#loadWeights(dir, training);
    for (const flat of [training.gradients, training.firstMoments, training.secondMoments]) flat.zero();
    const now = kernelsHere(this.#options.dtype);
    const state = readTrainer(folder, training, optimizer);
    this.#version = state?.version ?? 0;
    this.#kernels = state ? withKernels(state.kernels, now) : [now];
    training.renew();
    this.#opened.generation.generator?.forget();
    return this.#kernels;
  }

  free(): void {
    this.#opened.free();
  }

  #loadWeights(dir: string, training: TrainedParameters): void {
    const checkpoint = readCheckpoint(dir);
    try {
      if (!sameShape(checkpoint.config, this.#opened.weights.config)) {
        throw new UserError(`${dir} holds a model of another shape than ${this.#checkpointDir}`);
      }
      fillParts(training, training.parameters, new Map(checkpoint.tensors.map(tensor => [tensor.name, tensor])), dir);
    } finally {
      checkpoint.close();
    }
  }

  #adapter(): TrainedAdapter | undefined {
    const { lora } = this.#options;
    const { weights, baseDigest } = this.#opened;
    return lora && { lora, weights, base: this.#checkpointDir, baseDigest: baseDigest! };
  }

  #training(): TrainedParameters {
    const { training } = this.#opened.weights;
    if (!training) throw new Error(`${this.#checkpointDir} was not opened for training`);
    return training;
  }

  #generatorOptions(): GeneratorOptions {
    const { config } = this.#opened.weights;
    const vocabulary = { checkpoint: this.#checkpointDir, size: config.vocabSize };
    const masks = new MaskThread(vocabulary, () => this.#options.onMask?.());
    return {
      maxBatch: this.#options.maxBatch,
      prefillRows: 512,
      cacheTokens: tokensInCache(config, this.#options),
      follow: (grammar, stop) => masks.follow(grammar, stop),
    };
  }
}
