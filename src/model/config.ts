import { z } from 'zod';
import { UserError } from '../errors.ts';
import { firstIssue } from '../schema.ts';
import { type Family, families } from './families.ts';
import { parseRope, type Rope, ropeKeys } from './rope.ts';

/** The shape of a decoder, and the `config.json` it came from. */
export interface ModelConfig extends Rope {
  family: Family;
  hiddenSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headDim: number;
  intermediateSize: number;
  vocabSize: number;
  /** The LM head is the embedding matrix. */
  tied: boolean;
  /** Queries, keys and values have biases … */
  qkvBiases: boolean;
  /** … and so has what attention gives. */
  outputBiases: boolean;
  rmsNormEps: number;
  maxPositions: number;
  eosTokenIds: number[];
  /** Standard deviation of freshly drawn weights. */
  initializerRange: number;
  /** All keys as read, known or not, so that saving carries them along. */
  raw: Record<string, unknown>;
}

/** The linear maps of a layer, and the parts of each, which are computed in one product. */
export const linearMaps = {
  qkv: ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
  attentionOut: ['self_attn.o_proj'],
  gateUp: ['mlp.gate_proj', 'mlp.up_proj'],
  down: ['mlp.down_proj'],
} as const;

/** Their parts as PEFT names them: what can have an adapter. */
export const linearNames = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const;
export type LinearName = (typeof linearNames)[number];

/** Above every model that there is; what fits into memory is asked where the memory is taken. */
const most = { layers: 1000, heads: 4096, headDim: 4096, width: 1e6, vocabulary: 1e9, positions: 1e8 };

const count = (most: number) => z.int().min(1).max(most);
const width = count(most.width);

/** The tokens that end what the model says: one, or a list. */
export const endTokens = z
  .union([z.int().nonnegative(), z.array(z.int().nonnegative())], 'must be a token id, or a list of token ids')
  .nullish()
  .transform(ids => [ids ?? []].flat());

/** Defaults are those of transformers; the sizes, which it always writes, have none. */
const configSchema = z.looseObject({
  hidden_size: width,
  num_hidden_layers: count(most.layers),
  num_attention_heads: count(most.heads),
  num_key_value_heads: count(most.heads).nullish(),
  head_dim: count(most.headDim).nullish(),
  intermediate_size: width,
  vocab_size: count(most.vocabulary),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  rms_norm_eps: z.number().positive().default(1e-6),
  max_position_embeddings: count(most.positions).optional(),
  initializer_range: z.number().positive().default(0.02),
  eos_token_id: endTokens,
  ...ropeKeys,
});

/**
 * Reads the content of a Hugging Face `config.json`; `source` names it in errors.
 * @throws UserError naming the key at fault and what is allowed.
 */
export function parseConfig(json: unknown, source = 'config.json'): ModelConfig {
  const object = z.record(z.string(), z.unknown()).safeParse(json);
  if (!object.success) throw new UserError(`${source}: must be a JSON object`);
  const family = familyOf(object.data, source);
  refuseUnsupported(object.data, family, source);
  const result = configSchema.safeParse(object.data);
  if (!result.success) {
    throw new UserError(`${source}: ${firstIssue(result.error)}`);
  }
  const config = result.data;
  const heads = config.num_attention_heads;
  const kvHeads = config.num_key_value_heads ?? heads;
  if (heads % kvHeads !== 0) {
    throw new UserError(`${source}: num_key_value_heads is ${kvHeads}; it must divide num_attention_heads, ${heads}`);
  }
  const headDim = config.head_dim ?? family.headDim ?? config.hidden_size / heads;
  if (headDim % 2 !== 0) {
    throw new UserError(
      `${source}: head_dim, or hidden_size / num_attention_heads where it is missing, is ${headDim}; it must be even`,
    );
  }
  return {
    family,
    hiddenSize: config.hidden_size,
    layers: config.num_hidden_layers,
    heads,
    kvHeads,
    headDim,
    intermediateSize: config.intermediate_size,
    vocabSize: config.vocab_size,
    tied: config.tie_word_embeddings,
    ...parseRope(config, source),
    qkvBiases: family.biases === 'qkv' || config.attention_bias,
    outputBiases: config.attention_bias,
    rmsNormEps: config.rms_norm_eps,
    maxPositions: config.max_position_embeddings ?? family.maxPositions,
    eosTokenIds: config.eos_token_id,
    initializerRange: config.initializer_range,
    raw: object.data,
  };
}

/** @throws UserError where `architectures`, or `model_type` in its absence, names none that is computed here. */
function familyOf(raw: Record<string, unknown>, source: string): Family {
  const supported = JSON.stringify(Object.keys(families));
  if (raw.architectures === undefined) {
    const family = Object.values(families).find(({ modelType }) => modelType === raw.model_type);
    if (family) return family;
    throw new UserError(`${source}: architectures is missing; supported: one of ${supported}`);
  }
  const names: unknown[] = Array.isArray(raw.architectures) ? raw.architectures : [];
  const name = names.find(name => typeof name === 'string' && Object.hasOwn(families, name));
  if (name) return families[name as string];
  throw new UserError(
    `${source}: architectures is ${JSON.stringify(raw.architectures)}; supported: one of ${supported}`,
  );
}

/** Whether two configs are of the same decoder: what ends a turn, how weights are drawn and whatever else they were read with may differ. */
export function sameShape(a: ModelConfig, b: ModelConfig): boolean {
  const shape = ({ raw: _, eosTokenIds: __, initializerRange: ___, ...config }: ModelConfig) => JSON.stringify(config);
  return shape(a) === shape(b);
}

/** Every parameter by its Hugging Face name, in the order of the model's modules; matrices are [out, in]. */
export function tensorShapes(config: ModelConfig): Map<string, number[]> {
  const { family, hiddenSize, headDim, intermediateSize, vocabSize } = config;
  const queries = config.heads * headDim;
  const keys = config.kvHeads * headDim;
  const shapes = new Map<string, number[]>([['model.embed_tokens.weight', [vocabSize, hiddenSize]]]);
  for (let layer = 0; layer < config.layers; layer++) {
    const add = (name: string, ...shape: number[]) => shapes.set(`model.layers.${layer}.${name}`, shape);
    add('self_attn.q_proj.weight', queries, hiddenSize);
    add('self_attn.k_proj.weight', keys, hiddenSize);
    add('self_attn.v_proj.weight', keys, hiddenSize);
    if (config.qkvBiases) {
      add('self_attn.q_proj.bias', queries);
      add('self_attn.k_proj.bias', keys);
      add('self_attn.v_proj.bias', keys);
    }
    add('self_attn.o_proj.weight', hiddenSize, queries);
    if (config.outputBiases) add('self_attn.o_proj.bias', hiddenSize);
    if (family.headNorms) {
      add('self_attn.q_norm.weight', headDim);
      add('self_attn.k_norm.weight', headDim);
    }
    add('mlp.gate_proj.weight', intermediateSize, hiddenSize);
    add('mlp.up_proj.weight', intermediateSize, hiddenSize);
    add('mlp.down_proj.weight', hiddenSize, intermediateSize);
    add('input_layernorm.weight', hiddenSize);
    add('post_attention_layernorm.weight', hiddenSize);
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
function refuseUnsupported(raw: Record<string, unknown>, { biases, title }: Family, source: string): void {
  const refuse = (key: string, allowed: string): never => {
    throw new UserError(`${source}: ${key} is ${JSON.stringify(raw[key])}; supported: ${allowed}`);
  };
  if (raw.attention_bias && biases === 'qkv')
    refuse('attention_bias', `false; a ${title} has biases of q, k and v alone`);
  if (raw.mlp_bias) refuse('mlp_bias', 'false');
  if ((raw.hidden_act ?? 'silu') !== 'silu') refuse('hidden_act', '"silu"');
  if (raw.use_sliding_window) refuse('use_sliding_window', 'false');
  if (Array.isArray(raw.layer_types) && raw.layer_types.some(type => type !== 'full_attention')) {
    refuse('layer_types', '"full_attention" in every layer');
  }
  if (raw.quantization_config) refuse('quantization_config', 'none; use the unquantized checkpoint');
}
