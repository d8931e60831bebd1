import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { readCheckpoint, writeCheckpoint } from '../../checkpoint/checkpoint.ts';
import { readJson } from '../../documents.ts';
import { UserError } from '../../errors.ts';
import { writeFileWhole } from '../../files.ts';
import { MaskThread } from '../../grammar/maskThread.ts';
import { sameShape } from '../../model/config.ts';
import type { Dtype } from '../../model/dtype.ts';
import { rotaryTable } from '../../model/rope.ts';
import { SafetensorsFile, type StoredTensor, writeSafetensors } from '../../model/safetensors.ts';
import { loadWeights, type Weights } from '../../model/weights.ts';
import { firstIssue } from '../../schema.ts';
import { scope, type Tensor } from '../../tensor/tensor.ts';
import type { AdamParams, Datum, LossOutput, LossSpec, ScoredSequence, Scores, StepStats } from '../types.ts';
import { Generator, type GeneratorOptions } from './generator.ts';
import { type Kernels, kernelsHere, kernelsSchema, withKernels } from './kernels.ts';
import { forwardBackward, update } from './learner.ts';
import {
  availableMemory,
  type MemoryNeed,
  type MemoryOptions,
  memoryNeed,
  refuseCache,
  refuseTooLarge,
  rowsPerPass,
} from './memory.ts';
import { score } from './scorer.ts';

export interface ModelOptions extends MemoryOptions {
  /** Memory for keys and values while generating. */
  cacheBytes: number;
  maxBatch: number;
  /** Told when a sequence can go on that waited for what its grammar allows. */
  onMask?: () => void;
}

/** In a folder of its own: other programs take every safetensors file beside the weights for weights. */
const optimizerFile = join('optimizer', 'moments.safetensors');
const optimizerFileOnce = 'optimizer.safetensors';
const trainerFile = 'trainer.json';
/** Beside the optimizer's state. */
const trainerSchema = z.object({
  version: z.int().nonnegative(),
  /** What the weights were computed by so far; runs of earlier versions do not say. */
  kernels: z.array(kernelsSchema).default([]),
});

/** One checkpoint in this thread's memory: scores, samples and, where it is trainable, learns. */
export class LocalModel {
  /** What it takes beside the cache of what it samples. */
  readonly need: MemoryNeed;
  readonly #checkpointDir: string;
  readonly #weights: Weights;
  readonly #rotary: Tensor;
  readonly #options: ModelOptions;
  readonly #rowsPerPass: number;
  /** In which dtype each tensor came, so that it can be given back in it. */
  readonly #dtypes: Map<string, Dtype>;
  #generator: Generator | undefined;
  #version = 0;
  /** What the trained weights are computed by: one, unless they were loaded from elsewhere; the last goes on. */
  #kernels: Kernels[];

  constructor(checkpointDir: string, options: ModelOptions) {
    const checkpoint = readCheckpoint(checkpointDir);
    try {
      this.need = memoryNeed(checkpoint.config, options);
      refuseTooLarge(checkpointDir, this.need, availableMemory());
      this.#weights = loadWeights(checkpoint, options);
    } finally {
      checkpoint.close();
    }
    this.#checkpointDir = checkpointDir;
    this.#options = options;
    this.#kernels = [kernelsHere(options.dtype)];
    this.#dtypes = new Map(checkpoint.tensors.map(tensor => [tensor.name, tensor.dtype]));
    this.#rotary = rotaryTable(checkpoint.config, checkpoint.config.maxPositions);
    this.#rowsPerPass = rowsPerPass(checkpoint.config, options);
  }

  get generator(): Generator {
    if (!this.#generator) {
      refuseCache(this.#checkpointDir, this.#options.cacheBytes, availableMemory());
      this.#generator = new Generator(this.#weights, this.#rotary, this.#generatorOptions());
    }
    return this.#generator;
  }

  /** Whether it has sequences to advance. */
  get generating(): boolean {
    return this.#generator?.busy ?? false;
  }

  score(sequences: ScoredSequence[]): Scores[] {
    return score(this.#weights, this.#rotary, sequences, this.#rowsPerPass);
  }

  forwardBackward(data: Datum[], loss: LossSpec): LossOutput {
    return forwardBackward(this.#weights, this.#rotary, data, loss, this.#rowsPerPass);
  }

  optimStep(adam: AdamParams): StepStats {
    const { gradNorm } = update(this.#weights, this.#version + 1, adam);
    this.#version++;
    this.#generator?.forget();
    return { gradNorm, version: this.#version };
  }

  /** A Hugging Face checkpoint in the dtype the weights came in; exact fp32 and the optimizer's state with `optimizer`. */
  async save(dir: string, optimizer: boolean): Promise<void> {
    const { parameters, firstMoments, secondMoments } = this.#training();
    const tensors = this.#stored(parameters, name => (optimizer ? 'F32' : this.#dtypes.get(name)!));
    await writeCheckpoint(dir, this.#weights.config, tensors, {
      from: this.#checkpointDir,
      extra: folder => {
        if (!optimizer) return;
        const moments = { first: firstMoments, second: secondMoments };
        const state = Object.entries(moments).flatMap(([moment, flat]) =>
          this.#stored(flat, () => 'F32').map(tensor => ({ ...tensor, name: `${moment}.${tensor.name}` })),
        );
        mkdirSync(dirname(join(folder, optimizerFile)));
        writeSafetensors(join(folder, optimizerFile), state);
        writeFileWhole(
          join(folder, trainerFile),
          `${JSON.stringify({ version: this.#version, kernels: this.#kernels })}\n`,
        );
      },
    });
  }

  /**
   * @param optimizer whether the optimizer's state has to be there
   * @returns what the weights were computed by so far, each once, and last what goes on
   */
  load(dir: string, optimizer: boolean): readonly Kernels[] {
    const training = this.#training();
    const checkpoint = readCheckpoint(dir);
    try {
      if (!sameShape(checkpoint.config, this.#weights.config)) {
        throw new UserError(`${dir} holds a model of another shape than ${this.#checkpointDir}`);
      }
      this.#fill(training.parameters, new Map(checkpoint.tensors.map(tensor => [tensor.name, tensor])), '');
      for (const flat of [training.gradients, training.firstMoments, training.secondMoments]) flat.zero();
      this.#version = 0;
      this.#kernels = [kernelsHere(this.#options.dtype)];
      const places = [optimizerFile, optimizerFileOnce].map(file => join(checkpoint.dir, file));
      const state = places.find(existsSync);
      if (state) this.#loadOptimizer(state, join(checkpoint.dir, trainerFile));
      else if (optimizer) throw new UserError(`${places[0]}, the optimizer's state, is missing`);
    } finally {
      checkpoint.close();
    }
    training.renew();
    this.#generator?.forget();
    return this.#kernels;
  }

  free(): void {
    this.#generator?.free();
    this.#rotary.free();
    this.#weights.free();
  }

  #loadOptimizer(optimizerPath: string, trainerPath: string): void {
    const { firstMoments, secondMoments } = this.#training();
    const file = SafetensorsFile.open(optimizerPath);
    try {
      this.#fill(firstMoments, file.tensors, 'first.');
      this.#fill(secondMoments, file.tensors, 'second.');
    } finally {
      file.close();
    }
    const { version, kernels } = readTrainer(trainerPath);
    this.#version = version;
    this.#kernels = withKernels(kernels, kernelsHere(this.#options.dtype));
  }

  #training() {
    if (!this.#weights.training) throw new Error(`${this.#checkpointDir} was not opened for training`);
    return this.#weights.training;
  }

  /** The parts of a flat tensor as a checkpoint stores them. */
  #stored(flat: Tensor, dtypeOf: (name: string) => Dtype): StoredTensor[] {
    return [...this.#training().ranges].map(([name, { offset, shape }]) => ({
      name,
      dtype: dtypeOf(name),
      shape,
      read: () => scope(() => flat.view(offset, shape).floats() as Float32Array<ArrayBuffer>),
    }));
  }

  #fill(flat: Tensor, tensors: ReadonlyMap<string, StoredTensor>, prefix: string): void {
    for (const [name, { offset, shape }] of this.#training().ranges) {
      const tensor = tensors.get(prefix + name);
      if (!tensor) throw new UserError(`the optimizer's state lacks ${prefix}${name}; the checkpoint is damaged`);
      if (`${tensor.shape}` !== `${shape}`) {
        throw new UserError(`the optimizer's state has ${prefix}${name} of shape [${tensor.shape}], not [${shape}]`);
      }
      scope(() => flat.view(offset, shape).write(tensor.read()));
    }
  }

  #generatorOptions(): GeneratorOptions {
    const { layers, kvHeads, headDim } = this.#weights.config;
    const bytesPerToken = layers * 2 * kvHeads * headDim * (this.#weights.dtype === 'bf16' ? 2 : 4);
    const cacheTokens = Math.floor(this.#options.cacheBytes / bytesPerToken);
    const vocabulary = { checkpoint: this.#checkpointDir, size: this.#weights.config.vocabSize };
    const masks = new MaskThread(vocabulary, () => this.#options.onMask?.());
    return {
      maxBatch: this.#options.maxBatch,
      prefillRows: 512,
      cacheTokens,
      follow: (grammar, stop) => masks.follow(grammar, stop),
    };
  }
}

/** @throws UserError if the file is not there or holds something else. */
function readTrainer(path: string): z.output<typeof trainerSchema> {
  const trainer = trainerSchema.safeParse(readJson(path));
  if (trainer.success) return trainer.data;
  throw new UserError(`${path} is damaged: expected {"version": …} (${firstIssue(trainer.error)})`);
}
