import { freemem } from 'node:os';
import { inGiB } from '../../bytes.ts';
import { UserError } from '../../errors.ts';
import { type ModelConfig, parameterCount, tensorShapes } from '../../model/config.ts';
import { factorCount, type LoraShape } from '../../model/lora.ts';
import { elements } from '../../model/safetensors.ts';
import { activationBytes } from './pass.ts';

/** What a model's memory depends on beside its shape. */
export interface MemoryOptions {
  dtype: 'f32' | 'bf16';
  trainable: boolean;
  /** For the activations of one training or scoring pass. */
  activationBytes: number;
  /** Adapters that are trained in the place of the weights. */
  lora?: LoraShape;
  /** Whether the weights, and their positions, are another model's: only adapters are its own. */
  sharesBase?: boolean;
}

/** Bytes that a model takes, keys and values of what it samples aside. */
export interface MemoryNeed {
  weights: number;
  /** Of what is trained: fp32 parameters, gradients and two moments. */
  optimizer: number;
  activations: number;
  /** Cosines and sines of all positions; twice, while they are made. */
  positions: number;
}

/** Scoring passes that take turns: each that pauses keeps what one layer hands to the next. */
export const passesTogether = 4;

/**
 * Packed rows of one training or scoring pass: as many as the memory for activations allows, within sensible bounds. The
 * softmax over the vocabulary, which training keeps beside them, takes half as much again at most.
 */
export function rowsPerPass(config: ModelConfig, options: Omit<MemoryOptions, 'trainable' | 'sharesBase'>): number {
  const softmaxRow = config.vocabSize * (options.dtype === 'bf16' ? 2 : 4);
  const rows = Math.floor(
    Math.min(options.activationBytes / activationBytes(config, options), options.activationBytes / 2 / softmaxRow),
  );
  return Math.min(Math.max(rows, 512), 8192);
}

export function memoryNeed(config: ModelConfig, options: MemoryOptions): MemoryNeed {
  const { trainable, lora, sharesBase } = options;
  const bytes = options.dtype === 'bf16' ? 2 : 4;
  const embedding = config.vocabSize * config.hiddenSize;
  const matrices = [...tensorShapes(config).values()].filter(shape => shape.length === 2);
  const products = matrices.reduce((sum, shape) => sum + elements(shape), 0) - (config.tied ? 0 : embedding);
  const pass = rowsPerPass(config, options) * activationBytes(config, options);
  const softmax = rowsPerPass(config, options) * config.vocabSize * bytes;
  const positions = sharesBase ? 0 : 2 * 4 * config.maxPositions * config.headDim;
  const base = (directions: number) => (sharesBase ? 0 : (directions * products + embedding) * bytes);
  if (lora) {
    const factors = factorCount(config, lora);
    const weights = base(2) + 2 * factors * bytes;
    return { weights, optimizer: 4 * 4 * factors, activations: pass + softmax, positions };
  }
  if (trainable) {
    const optimizer = 4 * 4 * parameterCount(config);
    return { weights: 2 * products * bytes, optimizer, activations: pass + softmax, positions };
  }
  // Without a backward pass, a layer's activations are gone when the next layer has its own.
  const paused = (passesTogether - 1) * rowsPerPass(config, options) * 2 * 4 * config.hiddenSize;
  const activations = (2 * pass) / config.layers + paused;
  return { weights: base(1), optimizer: 0, activations, positions };
}

/** Memory that the system can still give, in bytes. */
export function availableMemory(): number {
  return process.availableMemory?.() ?? freemem();
}

/** @throws UserError when a model cannot fit, with the numbers and what can be done. */
export function refuseTooLarge(checkpoint: string, need: MemoryNeed, available: number): void {
  const { weights, optimizer, activations, positions } = need;
  if (weights + optimizer + activations + positions <= available) return;
  const parts = [
    `weights ${inGiB(weights)}`,
    ...(optimizer ? [`optimizer ${inGiB(optimizer)}`] : []),
    `activations ${inGiB(activations)}`,
    `positions ${inGiB(positions)}`,
  ];
  throw new UserError(
    `${checkpoint} does not fit into memory: it needs ${parts.join(' + ')} GiB, and ${inGiB(available)} GiB are free; ` +
      'close other programs, lower engine.activationBytes, or take a smaller model',
  );
}

/** @throws UserError when there is no room for the keys and values of what is sampled. */
export function refuseCache(checkpoint: string, cacheBytes: number, available: number): void {
  if (cacheBytes <= available) return;
  throw new UserError(
    `${checkpoint}: keys and values of what is sampled would take ${inGiB(cacheBytes)} GiB, and ${inGiB(available)} GiB are ` +
      'free; close other programs or lower engine.cacheBytes',
  );
}
