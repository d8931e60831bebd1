import { UserError } from '../errors.ts';
import { type ModelConfig, parseConfig } from '../model/config.ts';
import { families } from '../model/families.ts';
import type { Metadata } from './file.ts';
import type { GgufHeader } from './header.ts';
import { readScaling, scalingMetadata } from './rope.ts';

/** What a file says of a model's shape. */
export function shapeMetadata(config: ModelConfig): Metadata {
  const { architecture } = config.family.gguf;
  const own: Metadata = [
    ['block_count', 'u32', config.layers],
    ['context_length', 'u32', config.maxPositions],
    ['embedding_length', 'u32', config.hiddenSize],
    ['feed_forward_length', 'u32', config.intermediateSize],
    ['attention.head_count', 'u32', config.heads],
    ['attention.head_count_kv', 'u32', config.kvHeads],
    ['attention.key_length', 'u32', config.headDim],
    ['attention.value_length', 'u32', config.headDim],
    ['attention.layer_norm_rms_epsilon', 'f32', config.rmsNormEps],
    ['rope.freq_base', 'f32', config.ropeTheta],
    ...scalingMetadata(config),
  ];
  return [
    ['general.architecture', 'string', architecture],
    ...own.map(([key, type, value]): Metadata[number] => [`${architecture}.${key}`, type, value]),
  ];
}

/**
 * The shape of the model in a file, as `config.json` would say it.
 * @throws UserError where the file holds a model of another family, or one that is not computed here.
 */
export function ggufConfig(path: string, { metadata, tensors }: GgufHeader): ModelConfig {
  const architecture = metadata.get('general.architecture');
  const family = Object.entries(families).find(([, { gguf }]) => gguf.architecture === architecture);
  if (!family) {
    const supported = Object.values(families).map(({ gguf }) => gguf.architecture);
    throw new UserError(
      `${path} holds a model of architecture ${JSON.stringify(architecture ?? 'unknown')}; supported: ${supported.join(', ')}`,
    );
  }
  const [name, { modelType, gguf }] = family;
  const value = (key: string) => metadata.get(`${architecture}.${key}`);
  refuseOtherRotation(path, String(architecture), value);
  const embedding = tensors.find(({ name }) => name === 'token_embd.weight');
  const scaling = readScaling(path, value);
  return parseConfig(
    {
      architectures: [name],
      model_type: modelType,
      hidden_size: value('embedding_length'),
      num_hidden_layers: value('block_count'),
      num_attention_heads: value('attention.head_count'),
      num_key_value_heads: value('attention.head_count_kv'),
      head_dim: value('attention.key_length') ?? value('rope.dimension_count'),
      intermediate_size: value('feed_forward_length'),
      max_position_embeddings: value('context_length'),
      rms_norm_eps: value('attention.layer_norm_rms_epsilon'),
      rope_theta: value('rope.freq_base'),
      ...(scaling && { rope_scaling: scaling }),
      vocab_size: embedding?.shape[0],
      attention_bias: gguf.optionalBiases && tensors.some(({ name }) => name === 'blk.0.attn_output.bias'),
      tie_word_embeddings: !tensors.some(({ name }) => name === 'output.weight'),
      eos_token_id: metadata.get('tokenizer.ggml.eos_token_id'),
    },
    path,
  );
}

/** @throws UserError where only a part of each head is rotated. */
function refuseOtherRotation(path: string, architecture: string, value: (key: string) => unknown): void {
  const [rotated, heads] = [value('rope.dimension_count'), value('attention.key_length')];
  if ((rotated ?? heads) === (heads ?? rotated)) return;
  throw new UserError(
    `${path}: ${architecture}.rope.dimension_count is ${rotated}; supported: ${heads}. Take a file without it`,
  );
}
