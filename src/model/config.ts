import { z } from 'zod';
import { UserError } from '../errors.ts';

/** The shape of a Qwen3 decoder, and the `config.json` it came from. */
export interface ModelConfig {
  hiddenSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  intermediateSize: number;
  vocabSize: number;
  /** The LM head is the embedding matrix. */
  tied: boolean;
  ropeTheta: number;
  rmsNormEps: number;
  maxPositions: number;
  eosTokenIds: number[];
  /** Standard deviation of freshly drawn weights. */
  initializerRange: number;
  /** All keys as read, known or not, so that saving carries them along. */
  raw: Record<string, unknown>;
}

const architecture = 'Qwen3ForCausalLM';

const count = z.int().positive();
const rope = z.looseObject({ rope_theta: z.number().positive().optional() }).nullish();

/** Defaults are those of transformers' Qwen3Config; the sizes, which transformers always writes, have none. */
const configSchema = z.looseObject({
  hidden_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count,
  head_dim: count.refine(size => size % 2 === 0, 'must be even'),
  intermediate_size: count,
  vocab_size: count,
  tie_word_embeddings: z.boolean().default(false),
  rope_theta: z.number().positive().default(10_000),
  rope_parameters: rope,
  rms_norm_eps: z.number().positive().default(1e-6),
  max_position_embeddings: count.default(32_768),
  initializer_range: z.number().positive().default(0.02),
  eos_token_id: z.union([z.int().nonnegative(), z.array(z.int().nonnegative())]).nullish(),
});

/**
 * Reads the content of a Hugging Face `config.json`; `source` names it in errors.
 * @throws UserError naming the key at fault and what is allowed.
 */
export function parseConfig(json: unknown, source = 'config.json'): ModelConfig {
  const object = z.record(z.string(), z.unknown()).safeParse(json);
  if (!object.success) throw new UserError(`${source}: must be a JSON object`);
  refuseUnsupported(object.data, source);
  const result = configSchema.safeParse(object.data);
  if (!result.success) {
    const { path, message } = result.error.issues[0];
    throw new UserError(`${source}: ${path.join('.')}: ${message}`);
  }
  const config = result.data;
  if (config.num_attention_heads % config.num_key_value_heads !== 0) {
    throw new UserError(
      `${source}: num_key_value_heads is ${config.num_key_value_heads}; ` +
        `it must divide num_attention_heads, ${config.num_attention_heads}`,
    );
  }
  return {
    hiddenSize: config.hidden_size,
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    kvHeads: config.num_key_value_heads,
    headDim: config.head_dim,
    intermediateSize: config.intermediate_size,
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings,
    ropeTheta: config.rope_parameters?.rope_theta ?? config.rope_theta,
    rmsNormEps: config.rms_norm_eps,
    maxPositions: config.max_position_embeddings,
    eosTokenIds: [config.eos_token_id ?? []].flat(),
    initializerRange: config.initializer_range,
    raw: object.data,
  };
}

/** Every parameter by its Hugging Face name, in the order of the model's modules; matrices are [out, in]. */
export function tensorShapes(config: ModelConfig): Map<string, number[]> {
  const { hiddenSize, headDim, intermediateSize, vocabSize } = config;
  const queries = config.heads * headDim;
  const keys = config.kvHeads * headDim;
  const shapes = new Map<string, number[]>([['model.embed_tokens.weight', [vocabSize, hiddenSize]]]);
  for (let layer = 0; layer < config.layers; layer++) {
    const add = (name: string, ...shape: number[]) => shapes.set(`model.layers.${layer}.${name}.weight`, shape);
    add('self_attn.q_proj', queries, hiddenSize);
    add('self_attn.k_proj', keys, hiddenSize);
    add('self_attn.v_proj', keys, hiddenSize);
    add('self_attn.o_proj', hiddenSize, queries);
    add('self_attn.q_norm', headDim);
    add('self_attn.k_norm', headDim);
    add('mlp.gate_proj', intermediateSize, hiddenSize);
    add('mlp.up_proj', intermediateSize, hiddenSize);
    add('mlp.down_proj', hiddenSize, intermediateSize);
    add('input_layernorm', hiddenSize);
    add('post_attention_layernorm', hiddenSize);
  }
  shapes.set('model.norm.weight', [hiddenSize]);
  if (!config.tied) shapes.set('lm_head.weight', [vocabSize, hiddenSize]);
  return shapes;
}

/** Trainable numbers in the model; tied matrices count once. */
export function parameterCount(config: ModelConfig): number {
  let total = 0;
  for (const shape of tensorShapes(config).values()) total += shape.reduce((a, b) => a * b, 1);
  return total;
}

/** What `config.json` can ask for that the decoder would silently compute wrongly. */
function refuseUnsupported(raw: Record<string, unknown>, source: string): void {
  const refuse = (key: string, allowed: string): never => {
    throw new UserError(`${source}: ${key} is ${JSON.stringify(raw[key])}; supported: ${allowed}`);
  };
  if (raw.architectures !== undefined) {
    if (!Array.isArray(raw.architectures) || !raw.architectures.includes(architecture)) {
      refuse('architectures', `["${architecture}"]`);
    }
  } else if (raw.model_type !== 'qwen3') {
    throw new UserError(`${source}: architectures is missing; supported: ["${architecture}"]`);
  }
  if (raw.attention_bias) refuse('attention_bias', 'false');
  if ((raw.hidden_act ?? 'silu') !== 'silu') refuse('hidden_act', '"silu"');
  if (raw.use_sliding_window) refuse('use_sliding_window', 'false');
  if (Array.isArray(raw.layer_types) && raw.layer_types.some(type => type !== 'full_attention')) {
    refuse('layer_types', '"full_attention" in every layer');
  }
  if (raw.quantization_config) refuse('quantization_config', 'none; use the unquantized checkpoint');
  for (const key of ['rope_scaling', 'rope_parameters']) {
    const value = raw[key] as { rope_type?: string; type?: string } | null | undefined;
    const type = value?.rope_type ?? value?.type ?? 'default';
    if (type !== 'default') refuse(key, 'null, or rope_type "default"');
  }
}
