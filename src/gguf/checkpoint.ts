import { closeSync, openSync, readSync } from 'node:fs';
import { UserError } from '../errors.ts';
import { type ModelConfig, parseConfig, tensorShapes } from '../model/config.ts';
import type { StoredTensor } from '../model/safetensors.ts';
import { onPath } from '../systemErrors.ts';
import { dequantize } from './blocks.ts';
import { type GgufHeader, type GgufTensor, type MetadataValue, readGgufHeader } from './header.ts';
import { ggufName } from './names.ts';
import { storedBytes, tensorTypes } from './tensorTypes.ts';

/**
 * Opens a Qwen3 model in one GGUF file, quantised or not; its tensors can be read until `close`. Values of blocks are told as
 * float32, which alone holds them exactly.
 * @throws UserError when the file is damaged or holds another architecture.
 */
export function readGgufCheckpoint(path: string): { config: ModelConfig; tensors: StoredTensor[]; close(): void } {
  const header = readGgufHeader(path);
  const config = ggufConfig(path, header);
  const stored = new Map(header.tensors.map(tensor => [tensor.name, tensor]));
  const fd = onPath(path, () => openSync(path, 'r'));
  try {
    const shapes = tensorShapes(config);
    refuseOthers(path, header, new Set([...shapes.keys()].map(ggufName)));
    const tensors = [...shapes].map(([name, shape]) => {
      const tensor = stored.get(ggufName(name));
      if (!tensor) throw new UserError(`${path} is incomplete: ${ggufName(name)} is missing; download it again`);
      if (`${tensor.shape}` !== `${shape}`) {
        throw new UserError(`${path}: ${tensor.name} has shape [${tensor.shape}], not [${shape}]; the file is damaged`);
      }
      const { type } = tensor;
      const dtype = type === 'F16' || type === 'BF16' ? type : 'F32';
      const read: StoredTensor['read'] = (into = new Float32Array(shape.reduce((a, b) => a * b, 1))) => {
        readValues(fd, tensor, into);
        return into;
      };
      return { name, dtype, shape, read } satisfies StoredTensor;
    });
    return { config, tensors, close: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function ggufConfig(path: string, { metadata, tensors }: GgufHeader): ModelConfig {
  const architecture = metadata.get('general.architecture');
  if (architecture !== 'qwen3') {
    throw new UserError(
      `${path} holds a model of architecture ${JSON.stringify(architecture ?? 'unknown')}; supported: qwen3`,
    );
  }
  const value = (key: string): MetadataValue | undefined => metadata.get(`qwen3.${key}`);
  refuseScaledRope(path, value);
  const embedding = tensors.find(({ name }) => name === 'token_embd.weight');
  return parseConfig(
    {
      architectures: ['Qwen3ForCausalLM'],
      model_type: 'qwen3',
      hidden_size: value('embedding_length'),
      num_hidden_layers: value('block_count'),
      num_attention_heads: value('attention.head_count'),
      num_key_value_heads: value('attention.head_count_kv') ?? value('attention.head_count'),
      head_dim: value('attention.key_length'),
      intermediate_size: value('feed_forward_length'),
      max_position_embeddings: value('context_length'),
      rms_norm_eps: value('attention.layer_norm_rms_epsilon'),
      rope_theta: value('rope.freq_base'),
      vocab_size: embedding?.shape[0],
      tie_word_embeddings: !tensors.some(({ name }) => name === 'output.weight'),
      eos_token_id: metadata.get('tokenizer.ggml.eos_token_id'),
    },
    path,
  );
}

/** @throws UserError where the file has tensors that the decoder would leave out. */
function refuseOthers(path: string, { tensors }: GgufHeader, known: ReadonlySet<string>): void {
  const others = tensors.map(({ name }) => name).filter(name => !known.has(name));
  if (others.length === 0) return;
  const shown = others.slice(0, 3).join(', ');
  throw new UserError(
    `${path} has tensors that are not part of a Qwen3 model: ${shown}${others.length > 3 ? ` and ${others.length - 3} more` : ''}`,
  );
}

/** @throws UserError where positions are rotated otherwise than by plain frequencies over the whole head. */
function refuseScaledRope(path: string, value: (key: string) => MetadataValue | undefined): void {
  const refuse = (key: string, supported: unknown) => {
    const found = JSON.stringify(value(key));
    throw new UserError(`${path}: qwen3.${key} is ${found}; supported: ${supported}. Take a file without it`);
  };
  if ((value('rope.scaling.type') ?? 'none') !== 'none') refuse('rope.scaling.type', '"none"');
  for (const key of ['rope.scaling.factor', 'rope.scale_linear'])
    if (![undefined, 0, 1].includes(value(key) as number)) refuse(key, 1);
  const headDim = value('attention.key_length');
  if ((value('rope.dimension_count') ?? headDim) !== headDim) refuse('rope.dimension_count', headDim);
}

const chunkBlocks = 1 << 14;

function readValues(fd: number, { type, offset }: GgufTensor, into: Float32Array): void {
  const { values } = tensorTypes[type];
  const buffer = new Uint8Array(storedBytes(type, Math.min(into.length, chunkBlocks * values)));
  let position = offset;
  for (let done = 0; done < into.length; done += chunkBlocks * values) {
    const part = into.subarray(done, done + chunkBlocks * values);
    const bytes = buffer.subarray(0, storedBytes(type, part.length));
    for (let filled = 0; filled < bytes.length; ) {
      const read = readSync(fd, bytes, filled, bytes.length - filled, position + filled);
      if (read === 0) throw new UserError('a checkpoint file became shorter while it was read');
      filled += read;
    }
    dequantize(type, bytes, part);
    position += bytes.length;
  }
}
