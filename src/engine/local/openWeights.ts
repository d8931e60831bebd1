import { realpathSync } from 'node:fs';
import { adapterBase, readFactors } from '../../checkpoint/adapter.ts';
import { refuseOtherBase, weightsDigest } from '../../checkpoint/baseRecord.ts';
import { readCheckpoint } from '../../checkpoint/checkpoint.ts';
import { currentFolder } from '../../files.ts';
import { frozenAdapters, trainedAdapters } from '../../model/adapters.ts';
import { bytesInBlocks } from '../../model/blocks.ts';
import { type ModelConfig, tensorShapes } from '../../model/config.ts';
import type { Dtype } from '../../model/dtype.ts';
import { takesAdapter } from '../../model/lora.ts';
import { rotaryTable } from '../../model/rope.ts';
import { loadWeights, type Weights } from '../../model/weights.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { LoraOptions } from '../types.ts';
import { availableMemory, type MemoryPlan, partsOf, planMemory, refuseTooLarge } from './memory.ts';
import type { MemoryOptions } from './memoryNeed.ts';

export interface OpenOptions extends MemoryOptions {
  lora?: LoraOptions;
}

/** A checkpoint in memory. */
export interface OpenedWeights {
  weights: Weights;
  /** Cosines and sines of all positions. */
  rotary: Tensor;
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
  users: number;
}

/**
 * Opens checkpoints. Of a model whose adapters are trained there is one copy of the weights: others with it, without an adapter or
 * with others, are made of it, as a teacher of the same base is.
 */
export class WeightsOpener {
  /** By their real paths. */
  readonly #bases = new Map<string, Base>();

  /** @throws UserError where there is no such model, or no memory for it */
  open(checkpoint: string, options: OpenOptions): OpenedWeights {
    if (options.lora) return this.#trainedAdapters(checkpoint, options, options.lora);
    return (options.trainable ? undefined : this.#shared(checkpoint, options)) ?? opened(checkpoint, options);
  }

  #trainedAdapters(checkpoint: string, options: OpenOptions, lora: LoraOptions): OpenedWeights {
    const place = placeOf(checkpoint);
    let base = this.#bases.get(place);
    const plan = base ? sharing(base, checkpoint, options) : undefined;
    if (!base) {
      base = { ...opened(checkpoint, options), baseDigest: weightsDigest(checkpoint), users: 0 };
      this.#bases.set(place, base);
    }
    return this.#over(base, plan ?? base.plan, trainedAdapters(base.weights, lora, lora.seed));
  }

  /** The model of weights that are there; undefined where they are not. */
  #shared(checkpoint: string, options: OpenOptions): OpenedWeights | undefined {
    const base = this.#bases.get(placeOf(checkpoint));
    if (base) return this.#over(base, sharing(base, checkpoint, options), { ...base.weights, free() {} });
    return this.#sharedWithAdapter(checkpoint, options);
  }

  #sharedWithAdapter(checkpoint: string, options: OpenOptions): OpenedWeights | undefined {
    const folder = currentFolder(checkpoint);
    const itsBase = adapterBase(folder);
    const base = itsBase && this.#bases.get(placeOf(itsBase));
    if (!base) return undefined;
    refuseOtherBase(folder, itsBase, () => base.baseDigest);
    const factors = readFactors(folder, tensorShapes(base.weights.config));
    if (![...factors.keys()].every(takesAdapter)) return undefined;
    const plan = sharing(base, checkpoint, options);
    return this.#over(base, plan, frozenAdapters(base.weights, factors));
  }

  #over(base: Base, plan: MemoryPlan, weights: Weights): OpenedWeights {
    base.users++;
    return {
      ...base,
      weights,
      plan,
      free: () => {
        weights.free();
        if (--base.users > 0) return;
        base.free();
        for (const [place, other] of this.#bases) if (other === base) this.#bases.delete(place);
      },
    };
  }
}

function placeOf(checkpoint: string): string {
  const folder = currentFolder(checkpoint);
  try {
    return realpathSync(folder);
  } catch {
    return folder;
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
    const weights = loadWeights(checkpoint, { dtype: options.dtype, trainable, differentiable: isBase, inBlocks });
    const rotary = rotaryTable(config, config.maxPositions);
    const dtypes = new Map(tensors.map(tensor => [tensor.name, tensor.dtype]));
    return {
      weights,
      rotary,
      plan,
      dtypes,
      free() {
        rotary.free();
        weights.free();
      },
    };
  } finally {
    checkpoint.close();
  }
}

function sharing({ weights: { config }, plan }: Base, checkpoint: string, options: OpenOptions): MemoryPlan {
  return { ...planned(checkpoint, config, { ...options, sharesBase: true }), inBlocks: plan.inBlocks };
}

/** @throws UserError where there is no memory for it */
function planned(checkpoint: string, config: ModelConfig, options: MemoryOptions): MemoryPlan {
  const available = availableMemory();
  const plan = planMemory(config, options, available);
  refuseTooLarge(checkpoint, partsOf(plan), available);
  return plan;
}
