import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { EmbeddingTable, Linear, Vector } from '../tensor/ops.ts';
import { type BlockMatrix, PackedWeight, Tensor, unscoped } from '../tensor/tensor.ts';
import { isInBlocks, readBlocks } from './blocks.ts';
import { linearMaps, type ModelConfig, tensorShapes } from './config.ts';
import { elements } from './safetensors.ts';
import { TrainedParameters } from './trainedParameters.ts';

/** Rows of the LM head packed together: the width of a block of logits. */
export const vocabularyChunk = 4096;

export interface LayerWeights {
  attentionNorm: Vector;
  /** Queries, keys and values in one product. */
  qkv: Linear;
  /** Added to them, in models that have it. */
  qkvBias?: Vector;
  /** Of each query head and each key head, in families that have them. */
  headNorms?: { query: Vector; key: Vector };
  attentionOut: Linear;
  /** Added to what it gives, in models that have it. */
  attentionOutBias?: Vector;
  mlpNorm: Vector;
  /** Gate and up in one product. */
  gateUp: Linear;
  down: Linear;
}

/**
 * A decoder's parameters, ready for the kernels.
 *
 * Trained weights live in flat fp32 storage (`TrainedParameters`), in the order of `tensorShapes`; fused products are views over
 * neighbours. Weights that are not trained keep nothing but the packed matrices in their own precision, in one direction, or, but for
 * the LM head, in both where gradients go through them.
 */
export interface Weights {
  config: ModelConfig;
  /** Precision of packed matrices … */
  dtype: 'f32' | 'bf16';
  /** … and of activations. */
  activations: 'f32' | 'bf16';
  embedding: EmbeddingTable;
  layers: LayerWeights[];
  finalNorm: Vector;
  head: Linear;
  /** By their Hugging Face names. */
  training?: TrainedParameters;
  free(): void;
}

export interface WeightsOptions {
  dtype: 'f32' | 'bf16';
  /** Default: as the weights. */
  activations?: 'f32' | 'bf16';
  trainable: boolean;
  /** Whether gradients go through weights that are not trained: to adapters. */
  differentiable?: boolean;
  /** Whether matrices that a file stores in blocks stay in them, expanded for each product: for passes of many rows. */
  inBlocks?: boolean;
}

/** Puts a checkpoint into native memory; the caller closes the checkpoint. */
export function loadWeights(checkpoint: Checkpoint, options: WeightsOptions): Weights {
  return unscoped(() =>
    options.trainable ? trainableWeights(checkpoint, options) : frozenWeights(checkpoint, options),
  );
}

/** Makes linear maps and vectors from one or more neighbouring parameters. */
interface Builder {
  matrix(names: string[], chunkRows?: number): Linear;
  vector(names: string[]): Vector;
}

function assemble(config: ModelConfig, build: Builder): Pick<Weights, 'layers' | 'finalNorm' | 'head'> {
  const { family, qkvBiases, outputBiases } = config;
  const layers = Array.from({ length: config.layers }, (_, index) => {
    const all = (kind: string, ...parts: string[]) => parts.map(part => `model.layers.${index}.${part}.${kind}`);
    const matrix = (...parts: string[]) => build.matrix(all('weight', ...parts));
    const gain = (part: string) => build.vector(all('weight', part));
    return {
      attentionNorm: gain('input_layernorm'),
      qkv: matrix(...linearMaps.qkv),
      ...(qkvBiases && { qkvBias: build.vector(all('bias', ...linearMaps.qkv)) }),
      ...(family.headNorms && { headNorms: { query: gain('self_attn.q_norm'), key: gain('self_attn.k_norm') } }),
      attentionOut: matrix(...linearMaps.attentionOut),
      ...(outputBiases && { attentionOutBias: build.vector(all('bias', ...linearMaps.attentionOut)) }),
      mlpNorm: gain('post_attention_layernorm'),
      gateUp: matrix(...linearMaps.gateUp),
      down: matrix(...linearMaps.down),
    };
  });
  const head = config.tied ? 'model.embed_tokens.weight' : 'lm_head.weight';
  return { layers, finalNorm: build.vector(['model.norm.weight']), head: build.matrix([head], vocabularyChunk) };
}

function trainableWeights({ config, tensors }: Checkpoint, { dtype, activations = dtype }: WeightsOptions): Weights {
  const training = new TrainedParameters(tensorShapes(config));
  for (const tensor of tensors) training.set(tensor.name, tensor.read());
  return {
    config,
    dtype,
    activations,
    ...assemble(config, {
      matrix: (names, chunkRows) => training.linear(names, dtype, chunkRows),
      vector: names => training.vector(names),
    }),
    embedding: training.vector(['model.embed_tokens.weight']),
    training,
    free: () => training.free(),
  };
}

function frozenWeights(
  { config, tensors }: Checkpoint,
  { dtype, activations = dtype, inBlocks, differentiable = false }: WeightsOptions,
): Weights {
  const stored = new Map(tensors.map(tensor => [tensor.name, tensor]));
  const kept: { free(): void }[] = [];
  const keep = <T extends { free(): void }>(resource: T): T => {
    kept.push(resource);
    return resource;
  };
  const plain = (names: string[], type: 'f32' | 'bf16'): Tensor => {
    const shapes = names.map(name => stored.get(name)!.shape);
    const rows = shapes.reduce((sum, shape) => sum + shape[0], 0);
    const whole = Tensor.allocate(type, [rows, ...shapes[0].slice(1)]);
    let offset = 0;
    names.forEach((name, i) => {
      const part = whole.view(offset, shapes[i]);
      part.write(stored.get(name)!.read());
      part.free();
      offset += elements(shapes[i]);
    });
    return whole;
  };
  /** Undefined where it does not stay in blocks. */
  const blocksOf = (names: string[]): BlockMatrix | undefined => {
    const parts = names.map(name => stored.get(name)!);
    return inBlocks && parts.every(isInBlocks) ? keep(readBlocks(parts, dtype)) : undefined;
  };
  const parts = assemble(config, {
    matrix(names, chunkRows) {
      const blocks = blocksOf(names);
      const weight = blocks ?? plain(names, dtype);
      const packed = (direction: 'forward' | 'backward') => keep(PackedWeight.of(weight, dtype, direction, chunkRows));
      const forward = packed('forward');
      // Of the LM head a chunk is packed anew as quickly as it is multiplied, and the whole is the largest of all matrices.
      const other = () => (chunkRows ? keep(forward.backward()) : packed('backward'));
      const linear = { forward, backward: differentiable ? other() : undefined };
      if (!blocks) weight.free();
      return linear;
    },
    vector: names => ({ weight: keep(plain(names, 'f32')) }),
  });
  const table = ['model.embed_tokens.weight'];
  return {
    config,
    dtype,
    activations,
    ...parts,
    embedding: { weight: config.tied ? parts.head.forward : (blocksOf(table) ?? keep(plain(table, dtype))) },
    free() {
      for (const resource of kept) resource.free();
    },
  };
}
