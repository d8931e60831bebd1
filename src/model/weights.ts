import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { AdamState, Linear, Vector } from '../tensor/ops.ts';
import { PackedWeight, Tensor, unscoped } from '../tensor/tensor.ts';
import { type ModelConfig, tensorShapes } from './config.ts';
import { elements } from './safetensors.ts';

/** Rows of the LM head packed together: the width of a block of logits. */
const vocabularyChunk = 4096;

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
 * Trained weights live in flat fp32 storage, one run of memory each for parameters, gradients and moments, in the order of
 * `tensorShapes`; fused products are views over neighbours. Weights that only score or sample keep nothing but the packed
 * matrices in their own precision.
 */
export interface Weights {
  config: ModelConfig;
  /** Precision of activations and packed matrices. */
  dtype: 'f32' | 'bf16';
  embedding: { weight: Tensor; grad?: Tensor };
  layers: LayerWeights[];
  finalNorm: Vector;
  head: Linear;
  training?: TrainingState;
  free(): void;
}

export interface TrainingState extends AdamState {
  /** Flat range of a parameter by its Hugging Face name. */
  ranges: Map<string, { offset: number; shape: number[] }>;
  /** To be called when the parameters have changed and the gradients are zero: brings the packed matrices up to date. */
  renew(): void;
}

/** Puts a checkpoint into native memory; the caller closes the checkpoint. */
export function loadWeights(checkpoint: Checkpoint, options: { dtype: 'f32' | 'bf16'; trainable: boolean }): Weights {
  return unscoped(() =>
    options.trainable ? trainableWeights(checkpoint, options.dtype) : frozenWeights(checkpoint, options.dtype),
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
    const qkv = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'];
    return {
      attentionNorm: gain('input_layernorm'),
      qkv: matrix(...qkv),
      ...(qkvBiases && { qkvBias: build.vector(all('bias', ...qkv)) }),
      ...(family.headNorms && { headNorms: { query: gain('self_attn.q_norm'), key: gain('self_attn.k_norm') } }),
      attentionOut: matrix('self_attn.o_proj'),
      ...(outputBiases && { attentionOutBias: build.vector(all('bias', 'self_attn.o_proj')) }),
      mlpNorm: gain('post_attention_layernorm'),
      gateUp: matrix('mlp.gate_proj', 'mlp.up_proj'),
      down: matrix('mlp.down_proj'),
    };
  });
  const head = config.tied ? 'model.embed_tokens.weight' : 'lm_head.weight';
  return { layers, finalNorm: build.vector(['model.norm.weight']), head: build.matrix([head], vocabularyChunk) };
}

function trainableWeights({ config, tensors }: Checkpoint, dtype: 'f32' | 'bf16'): Weights {
  const ranges: TrainingState['ranges'] = new Map();
  let total = 0;
  for (const [name, shape] of tensorShapes(config)) {
    ranges.set(name, { offset: total, shape });
    total += elements(shape);
  }
  const [parameters, gradients, firstMoments, secondMoments] = [0, 1, 2, 3].map(() => Tensor.zeros('f32', [total]));
  for (const tensor of tensors) {
    const { offset, shape } = ranges.get(tensor.name)!;
    const part = parameters.view(offset, shape);
    part.write(tensor.read());
    part.free();
  }

  const views: Tensor[] = [];
  const matrices: { weight: Tensor; linear: Required<Linear> }[] = [];
  const viewOf = (flat: Tensor, names: string[]): Tensor => {
    const first = ranges.get(names[0])!;
    const rows = names.reduce((sum, name) => sum + ranges.get(name)!.shape[0], 0);
    const view = flat.view(first.offset, [rows, ...first.shape.slice(1)]);
    views.push(view);
    return view;
  };
  const parts = assemble(config, {
    matrix(names, chunkRows) {
      const weight = viewOf(parameters, names);
      const forward = PackedWeight.of(weight, dtype, 'forward', chunkRows);
      const backward = PackedWeight.of(weight, dtype, 'backward', chunkRows);
      const linear = { forward, backward, grad: viewOf(gradients, names), blank: true };
      matrices.push({ weight, linear });
      return linear;
    },
    vector: names => ({ weight: viewOf(parameters, names), grad: viewOf(gradients, names) }),
  });
  const table = ['model.embed_tokens.weight'];
  return {
    config,
    dtype,
    ...parts,
    embedding: { weight: viewOf(parameters, table), grad: viewOf(gradients, table) },
    training: {
      parameters,
      gradients,
      firstMoments,
      secondMoments,
      ranges,
      renew() {
        for (const { weight, linear } of matrices) {
          PackedWeight.repack(weight, linear.forward, linear.backward);
          linear.blank = true;
        }
      },
    },
    free() {
      for (const { linear } of matrices) for (const packed of [linear.forward, linear.backward]) packed.free();
      for (const tensor of [...views, parameters, gradients, firstMoments, secondMoments]) tensor.free();
    },
  };
}

function frozenWeights({ config, tensors }: Checkpoint, dtype: 'f32' | 'bf16'): Weights {
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
  const parts = assemble(config, {
    matrix(names, chunkRows) {
      const weight = plain(names, dtype);
      const forward = keep(PackedWeight.of(weight, dtype, 'forward', chunkRows));
      weight.free();
      return { forward };
    },
    vector: names => ({ weight: keep(plain(names, 'f32')) }),
  });
  return {
    config,
    dtype,
    ...parts,
    embedding: { weight: keep(plain(['model.embed_tokens.weight'], dtype)) },
    free() {
      for (const resource of kept) resource.free();
    },
  };
}
