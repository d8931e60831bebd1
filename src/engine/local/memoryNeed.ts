import { type ModelConfig, parameterCount, tensorShapes } from '../../model/config.ts';
import { factorCount, type LoraShape } from '../../model/lora.ts';
import { elements } from '../../model/safetensors.ts';
import { vocabularyChunk } from '../../model/weights.ts';
import { activationBytes, layerBoundaryBytes } from './pass.ts';

/** Whether a training pass computes each layer twice, to keep less; auto: where its activations would not fit. */
export type Recompute = 'auto' | 'on' | 'off';
/** Whether weights of a quantised file that are not trained stay as they are stored; auto: where that decides, or costs little. */
export type Quantized = 'auto' | 'blocks' | 'whole';

/** What a model's memory depends on beside its shape. */
export interface MemoryOptions {
  /** Default: the CPU. */
  device?: 'cpu' | 'gpu';
  /** Of weights, and on the CPU of activations. */
  dtype: 'f32' | 'bf16';
  trainable: boolean;
  /** It only scores: nothing is sampled from it. */
  scoresOnly?: boolean;
  /** For the activations of one training or scoring pass; a sequence that alone takes more goes through whole. */
  activationBytes: number;
  /** Tokens of the longest sequence, where that is known. */
  longest?: number;
  /** For keys and values of what is sampled from a model that is not trained. */
  cacheBytes?: number;
  /** Adapters that are trained in the place of the weights. */
  lora?: LoraShape;
  /** Whether the weights, and their positions, are another model's: only adapters are its own. */
  sharesBase?: boolean;
  /** Numbers in adapters that are not trained, beside such weights. */
  frozenFactors?: number;
  recompute?: Recompute;
  quantized?: Quantized;
  /** Of all weights, where its file stores them in blocks of few bits. */
  blockBytes?: number;
}

/** Bytes that a model takes, keys and values of what is sampled while it is trained aside. */
export interface MemoryNeed {
  weights: number;
  /** One layer, and a part of the LM head, of weights that stay in blocks. */
  expanded: number;
  /** Of what is trained: fp32 parameters, gradients and two moments. */
  optimizer: number;
  activations: number;
  /** Cosines and sines of all positions; on the CPU twice, while they are made. */
  positions: number;
  cache: number;
}

/** Scoring passes that take turns: each that pauses keeps what one layer hands to the next. */
export const passesTogether = 4;

/** All of it. */
export function total(need: MemoryNeed): number {
  return Object.values(need).reduce((sum, bytes) => sum + bytes, 0);
}

/**
 * Packed rows of one training or scoring pass: as many as the memory for activations allows, within sensible bounds. The
 * softmax over the vocabulary, which training keeps beside them, takes half as much again at most.
 */
export function rowsPerPass(config: ModelConfig, options: PassOptions): number {
  const softmaxRow = config.vocabSize * bytesOf(inActivations(options));
  const row = activationBytes(config, inActivations(options));
  const rows = Math.floor(Math.min(options.activationBytes / row, options.activationBytes / 2 / softmaxRow));
  return Math.min(Math.max(rows, 512), 8192);
}

type PassOptions = Pick<MemoryOptions, 'device' | 'dtype' | 'lora' | 'activationBytes'>;

/** The precision of activations: a GPU has only weights in 16 bits. */
export function activationsOf({ device, dtype }: Pick<MemoryOptions, 'device' | 'dtype'>): 'f32' | 'bf16' {
  return device === 'gpu' ? 'f32' : dtype;
}

function inActivations<T extends Pick<MemoryOptions, 'device' | 'dtype'>>(options: T): T {
  return { ...options, dtype: activationsOf(options) };
}

/** Tokens whose keys and values `cacheBytes` hold. */
export function tokensInCache(
  { layers, kvHeads, headDim }: ModelConfig,
  { cacheBytes, ...options }: Pick<MemoryOptions, 'device' | 'dtype'> & { cacheBytes: number },
): number {
  return Math.floor(cacheBytes / (layers * 2 * kvHeads * headDim * bytesOf(inActivations(options))));
}

/** Rows of a training pass up to which its activations are kept. */
export function keptRows(config: ModelConfig, options: PassOptions, recompute: Recompute): number {
  if (recompute === 'on') return 0;
  if (recompute === 'off') return Number.POSITIVE_INFINITY;
  return Math.floor(options.activationBytes / activationBytes(config, inActivations(options)));
}

/** @param held whether weights are in blocks, and which passes are computed twice */
export function memoryNeed(
  config: ModelConfig,
  options: MemoryOptions,
  held: { inBlocks: boolean; recompute: Recompute },
): MemoryNeed {
  const { inBlocks, recompute } = held;
  const { trainable, scoresOnly, lora, frozenFactors = 0, sharesBase, blockBytes, cacheBytes = 0 } = options;
  const trained = lora ? factorCount(config, lora) : trainable ? parameterCount(config) : 0;
  const factors = lora ? packedTrained(trained, options) : frozenFactors * bytesOf(options);
  const base = sharesBase ? 0 : inBlocks ? blockBytes! : baseBytes(config, options);
  return {
    weights: base + factors,
    expanded: inBlocks ? expandedBytes(config, options) : 0,
    optimizer: 4 * 4 * trained,
    activations: passBytes(config, options, recompute),
    positions: sharesBase ? 0 : (options.device === 'gpu' ? 1 : 2) * 4 * config.maxPositions * config.headDim,
    cache: trainable || scoresOnly ? 0 : cacheBytes,
  };
}

/** Of the largest training or scoring pass: a full one, or that of a sequence which is longer. */
function passBytes(config: ModelConfig, options: MemoryOptions, recompute: Recompute): number {
  const { trainable, longest = 0 } = options;
  const kept = keptRows(config, options, recompute);
  const bytesFor = (rows: number) => {
    const activations = rows * activationBytes(config, inActivations(options));
    // Without a backward pass, a layer's activations are gone when the next layer has its own.
    const boundary = rows * layerBoundaryBytes(config, inActivations(options));
    if (!trainable) return (2 * activations) / config.layers + (passesTogether - 1) * boundary;
    // A GPU computes it once more, part by part.
    const softmax = options.device === 'gpu' ? 0 : rows * config.vocabSize * bytesOf(options);
    if (rows <= kept) return activations + softmax;
    return config.layers * boundary + (2 * activations) / config.layers + softmax;
  };
  return Math.max(bytesFor(rowsPerPass(config, options)), bytesFor(longest));
}

/** Packed weights, in both directions where gradients go through them, and the embedding, where it is not trained. */
function baseBytes(config: ModelConfig, options: MemoryOptions): number {
  if (!options.trainable || options.lora) return frozenBytes(config, options);
  const packed = options.device === 'gpu' ? parameterCount(config) : productElements(config);
  return packedTrained(packed, options);
}

/** What products take of so many numbers that are trained. A GPU packs nothing: it has them once more where they are rounded. */
function packedTrained(count: number, options: MemoryOptions): number {
  if (options.device === 'gpu') return options.dtype === 'bf16' ? count * bytesOf(options) : 0;
  return 2 * count * bytesOf(options);
}

/** The same where nothing of it is trained: of the LM head there is one direction, which is the embedding where they are tied. */
export function frozenBytes(config: ModelConfig, options: MemoryOptions): number {
  const directions = options.lora && options.device !== 'gpu' ? 2 : 1;
  const head = config.vocabSize * config.hiddenSize;
  const layers = productElements(config) - head;
  return (directions * layers + (config.tied ? 1 : 2) * head) * bytesOf(options);
}

/** One layer, or a part of the LM head, of weights that stay in blocks. */
export function expandedBytes(config: ModelConfig, options: MemoryOptions): number {
  const head = config.vocabSize * config.hiddenSize;
  const layer = (productElements(config) - head) / config.layers;
  return (layer + Math.min(head, vocabularyChunk * config.hiddenSize)) * bytesOf(options);
}

/** Of all matrices that are multiplied, the LM head among them. */
function productElements(config: ModelConfig): number {
  const matrices = [...tensorShapes(config).values()].filter(shape => shape.length === 2);
  const all = matrices.reduce((sum, shape) => sum + elements(shape), 0);
  return all - (config.tied ? 0 : config.vocabSize * config.hiddenSize);
}

function bytesOf({ dtype }: { dtype: 'f32' | 'bf16' }): number {
  return dtype === 'bf16' ? 2 : 4;
}
