import { adapterBase, readFactors } from '../../checkpoint/adapter.ts';
import { refuseOtherBase, weightsDigest } from '../../checkpoint/baseRecord.ts';
import { readCheckpoint } from '../../checkpoint/checkpoint.ts';
import { currentFolder, realPlace } from '../../files.ts';
import { frozenAdapters, trainedAdapters } from '../../model/adapters.ts';
import { bytesInBlocks } from '../../model/blocks.ts';
import { type ModelConfig, tensorShapes } from '../../model/config.ts';
import type { Dtype } from '../../model/dtype.ts';
import { takesAdapter } from '../../model/lora.ts';
import { rotaryTable } from '../../model/rope.ts';
import { elements } from '../../model/safetensors.ts';
import { loadWeights, type Weights } from '../../model/weights.ts';
import { device } from '../../tensor/currentDevice.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { LoraOptions } from '../types.ts';
import type { Generator } from './generator.ts';
import { availableMemory, type MemoryPlan, partsOf, planMemory, refuseTooLarge } from './memory.ts';
import { activationsOf, type MemoryOptions } from './memoryNeed.ts';

export interface OpenOptions extends MemoryOptions {
  lora?: LoraOptions;
  /** Others are to be made of its weights: adapters over it. */
  shared?: boolean;
}

/** What samples from weights, and from adapters over them that are not trained, in one batch; there is none before it is asked for. */
interface Generation {
  weights: Weights;
  generator?: Generator;
}

/** A checkpoint in memory. */
export interface OpenedWeights {
  weights: Weights;
  /** Cosines and sines of all positions. */
  rotary: Tensor;
  generation: Generation;
  /** What it takes beside what was there before. */
  plan: MemoryPlan;
  /** In which dtype each tensor came, so that it can be given back in it. */
  dtypes: ReadonlyMap<string, Dtype>;
  /** Of the weights that its adapters are trained over. */
  baseDigest?: string;
  free(): void;
}

/** Weights that adapters are trained over, and how many models are made of them. */
interface Base extends OpenedWeights {
  baseDigest: string;
  /** Whether adapters can be trained over it. */
  differentiable: boolean;
  users: number;
}

/**
 * Opens checkpoints. Of a model that is to be shared or whose adapters are trained there is one copy of the weights: others with it,
 * without an adapter or with others, are made of it, as a teacher of the same base is.
 */
export class WeightsOpener {
  /** By their real paths. */
  readonly #bases = new Map<string, Base>();

  /** @throws UserError where there is no such model, or no memory for it */
  open(checkpoint: string, options: OpenOptions): OpenedWeights {
    if (options.lora) return this.#trainedAdapters(checkpoint, options, options.lora);
    if (options.shared) return this.#toBeShared(checkpoint, options);
    return (options.trainable ? undefined : this.#shared(checkpoint, options)) ?? opened(checkpoint, options);
  }

  #trainedAdapters(checkpoint: string, options: OpenOptions, lora: LoraOptions): OpenedWeights {
    const { base, plan } = this.#base(checkpoint, options);
    try {
      return this.#over(base, plan, trainedAdapters(base.weights, lora, lora.seed));
    } catch (error) {
      this.#release(base);
      throw error;
    }
  }

  #toBeShared(checkpoint: string, options: OpenOptions): OpenedWeights {
    const { base, plan } = this.#base(checkpoint, options);
    return this.#over(base, plan, { ...base.weights, free() {} });
  }

  /** What is there, or is there from now on, and what another model over it takes. */
  #base(checkpoint: string, options: OpenOptions): { base: Base; plan: MemoryPlan } {
    const place = realPlace(checkpoint);
    const there = this.#bases.get(place);
    const differentiable = options.lora !== undefined;
    if (there && (there.differentiable || !differentiable)) {
      return { base: there, plan: sharing(there, checkpoint, options) };
    }
    const baseDigest = weightsDigest(checkpoint);
    const base = { ...opened(checkpoint, options), baseDigest, differentiable, users: 0 };
    this.#bases.set(place, base);
    return { base, plan: base.plan };
  }

  /** The model of weights that are there; undefined where they are not. */
  #shared(checkpoint: string, options: OpenOptions): OpenedWeights | undefined {
    const base = this.#bases.get(realPlace(checkpoint));
    if (base) return this.#over(base, sharing(base, checkpoint, options), { ...base.weights, free() {} });
    return this.#sharedWithAdapter(checkpoint, options);
  }

  #sharedWithAdapter(checkpoint: string, options: OpenOptions): OpenedWeights | undefined {
    const folder = currentFolder(checkpoint);
    const itsBase = adapterBase(folder);
    const base = itsBase && this.#bases.get(realPlace(itsBase));
    if (!base) return undefined;
    refuseOtherBase(folder, itsBase, () => base.baseDigest);
    const factors = readFactors(folder, tensorShapes(base.weights.config));
    if (![...factors.keys()].every(takesAdapter)) return undefined;
    const frozenFactors = [...factors.values()].reduce(
      (sum, { a, b }) => sum + elements(a.shape) + elements(b.shape),
      0,
    );
    const plan = sharing(base, checkpoint, { ...options, frozenFactors });
    return this.#over(base, plan, frozenAdapters(base.weights, factors));
  }

  #over(base: Base, plan: MemoryPlan, weights: Weights): OpenedWeights {
    base.users++;
    const generation: Generation = weights.training ? { weights } : base.generation;
    return {
      ...base,
      weights,
      generation,
      plan,
      free: () => {
        if (generation !== base.generation) generation.generator?.free();
        weights.free();
        base.users--;
        this.#release(base);
      },
    };
  }

  /** A base that nobody uses is gone. */
  #release(base: Base): void {
    if (base.users > 0) return;
    base.free();
    for (const [place, other] of this.#bases) if (other === base) this.#bases.delete(place);
  }
}

/** A checkpoint of its own; of adapters that are to be trained, only the base. */
function opened(path: string, options: OpenOptions): OpenedWeights {
  const checkpoint = readCheckpoint(path);
  try {
    const { config, tensors } = checkpoint;
    const plan = planned(path, config, { ...options, blockBytes: bytesInBlocks(tensors, options.dtype) });
    const isBase = options.lora !== undefined;
    const trainable = options.trainable && !isBase;
    const { inBlocks } = plan;
    const precision = { dtype: options.dtype, activations: activationsOf(options) };
    const weights = loadWeights(checkpoint, { ...precision, trainable, differentiable: isBase, inBlocks });
    // What they were packed from is not needed any more.
    device().trim();
    const rotary = rotaryTable(config, config.maxPositions);
    const dtypes = new Map(tensors.map(tensor => [tensor.name, tensor.dtype]));
    const generation: Generation = { weights };
    return {
      weights,
      rotary,
      generation,
      plan,
      dtypes,
      free() {
        generation.generator?.free();
        rotary.free();
        weights.free();
      },
    };
  } finally {
    checkpoint.close();
  }
}

function sharing({ weights: { config }, plan }: Base, checkpoint: string, options: OpenOptions): MemoryPlan {
  // Keys and values are in one cache, whose room the base counts where it is sampled from itself.
  const cacheBytes = plan.need.cache > 0 ? 0 : options.cacheBytes;
  return { ...planned(checkpoint, config, { ...options, cacheBytes, sharesBase: true }), inBlocks: plan.inBlocks };
}

/** @throws UserError where there is no memory for it */
function planned(checkpoint: string, config: ModelConfig, options: MemoryOptions): MemoryPlan {
  const available = availableMemory(options.device);
  const plan = planMemory(config, options, available);
  refuseTooLarge(checkpoint, partsOf(plan), available);
  return plan;
}
