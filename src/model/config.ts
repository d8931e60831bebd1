import { z } from 'zod';
import { UserError } from '../errors.ts';
import { firstIssue } from '../schema.ts';

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

/** Of transformers' Qwen3Config. */
const defaultTheta = 10_000;

/** Above every model that there is; what fits into memory is asked where the memory is taken. */
const most = { layers: 1000, heads: 4096, headDim: 4096, width: 1e6, vocabulary: 1e9, positions: 1e8 };

const count = (most: number) => z.int().min(1).max(most);
const width = count(most.width);

const theta = z.number().positive();
const rope = z.looseObject({ rope_theta: theta.optional() }).nullish();

/** The tokens that end what the model says: one, or a list. */
export const endTokens = z
  .union([z.int().nonnegative(), z.array(z.int().nonnegative())], 'must be a token id, or a list of token ids')
  .nullish()
  .transform(ids => [ids ?? []].flat());

/** Defaults are those of transformers' Qwen3Config; the sizes, which transformers always writes, have none. */
const configSchema = z.looseObject({
  hidden_size: width,
  num_hidden_layers: count(most.layers),
  num_attention_heads: count(most.heads),
  num_key_value_heads: count(most.heads),
  head_dim: count(most.headDim).refine(size => size % 2 === 0, 'must be even'),
  intermediate_size: width,
  vocab_size: count(most.vocabulary),
  tie_word_embeddings: z.boolean().default(false),
  rope_theta: theta.optional(),
  /** Of all layers, or by their kind: here all are of full attention. */
  rope_parameters: z.looseObject({ rope_theta: theta.optional(), full_attention: rope }).nullish(),
  rms_norm_eps: z.number().positive().default(1e-6),
  max_position_embeddings: count(most.positions).default(32_768),
  initializer_range: z.number().positive().default(0.02),
  eos_token_id: endTokens,
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
    throw new UserError(`${source}: ${firstIssue(result.error)}`);
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
    ropeTheta: ropeTheta(config, source),
    rmsNormEps: config.rms_norm_eps,
    maxPositions: config.max_position_embeddings,
    eosTokenIds: config.eos_token_id,
    initializerRange: config.initializer_range,
    raw: object.data,
  };
}

/** @throws UserError where a config that speaks of the rotary embedding leaves out its base. */
function ropeTheta({ rope_parameters: rope, rope_theta }: z.output<typeof configSchema>, source: string): number {
  const theta = rope?.full_attention?.rope_theta ?? rope?.rope_theta ?? rope_theta;
  if (theta === undefined && rope) {
    throw new UserError(`${source}: rope_parameters: rope_theta is missing, of all layers or of full_attention`);
  }
  return theta ?? defaultTheta;
}

/** Whether two configs are of the same decoder: whatever else they were read with may differ. */
export function sameShape(a: ModelConfig, b: ModelConfig): boolean {
  const shape = ({ raw: _, ...config }: ModelConfig) => JSON.stringify(config);
  return shape(a) === shape(b);
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
    const value = raw[key];
    if (value === undefined || value === null) continue;
    if (typeof value !== 'object') refuse(key, 'null or an object');
    const kinds = [value, ...Object.values(value as object)] as ({ [key: string]: unknown } | null)[];
    if (kinds.some(kind => scaled(kind))) refuse(key, 'null, or rope_type "default" of the whole head');
  }
}

/** Whether a rotary embedding is another than that of all layers and the whole head, its frequencies as they are. */
function scaled(rope: Record<string, unknown> | null): boolean {
  const type = rope?.rope_type ?? rope?.type ?? 'default';
  return type !== 'default' || (rope?.partial_rotary_factor ?? 1) !== 1;
}
