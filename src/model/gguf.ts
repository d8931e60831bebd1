import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../errors.ts';
import { writeFileWhole } from '../files.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { ModelConfig } from './config.ts';
import { bytesPerElement, type Dtype } from './dtype.ts';
import { elements, type StoredTensor, writeValues } from './safetensors.ts';

/**
 * GGUF, the one-file format of llama.cpp: metadata (the model's shape and its tokenizer), a table of tensors, then their data,
 * everything little-endian. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */

const alignment = 32;
const version = 3;

/** GGML's numbers for how a tensor's values are stored. */
const ggmlTypes: Record<Dtype, number> = { F32: 0, F16: 1, BF16: 30 };

/** Kinds of tokens, as llama.cpp numbers them. */
const tokenKinds = { normal: 1, control: 3, userDefined: 4, unused: 5 };

type Metadata = [key: string, type: 'u32' | 'f32' | 'string' | 'strings' | 'i32s', value: unknown][];

/**
 * Writes a checkpoint with its tokenizer as one GGUF file: matrices in the dtype they are stored in, norms in float32.
 * @throws UserError when the tokenizer is not a byte-level BPE that splits text as Qwen's does.
 */
export function writeGguf(path: string, checkpoint: Checkpoint): void {
  const { config, dir } = checkpoint;
  const metadata: Metadata = [...modelMetadata(config), ...tokenizerMetadata(join(dir, 'tokenizer.json'), config)];
  const tensors = checkpoint.tensors.map(tensor => ({ ...tensor, ...ggufTensor(tensor) }));
  const head = header(metadata, tensors);
  writeFileWhole(path, fd => {
    writeSync(fd, head);
    for (const tensor of tensors) {
      writeValues(fd, tensor);
      writeSync(fd, new Uint8Array(padding(byteLength(tensor))));
    }
  });
}

function modelMetadata(config: ModelConfig): Metadata {
  return [
    ['general.architecture', 'string', 'qwen3'],
    ['qwen3.block_count', 'u32', config.layers],
    ['qwen3.context_length', 'u32', config.maxPositions],
    ['qwen3.embedding_length', 'u32', config.hiddenSize],
    ['qwen3.feed_forward_length', 'u32', config.intermediateSize],
    ['qwen3.attention.head_count', 'u32', config.heads],
    ['qwen3.attention.head_count_kv', 'u32', config.kvHeads],
    ['qwen3.attention.key_length', 'u32', config.headDim],
    ['qwen3.attention.value_length', 'u32', config.headDim],
    ['qwen3.attention.layer_norm_rms_epsilon', 'f32', config.rmsNormEps],
    ['qwen3.rope.freq_base', 'f32', config.ropeTheta],
  ];
}

const tokenizerSchema = z.object({
  pre_tokenizer: z.object({
    pretokenizers: z.tuple([
      z.object({ pattern: z.object({ Regex: z.string() }) }),
      z.object({ type: z.literal('ByteLevel') }),
    ]),
  }),
  model: z.object({
    vocab: z.record(z.string(), z.int().nonnegative()),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  }),
  added_tokens: z.array(z.object({ id: z.int().nonnegative(), content: z.string(), special: z.boolean() })),
});

/** How Qwen2 and Qwen3 split text before merging: llama.cpp knows it by the name qwen2. */
const qwenSplit =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

function tokenizerMetadata(file: string, config: ModelConfig): Metadata {
  const tokenizer = tokenizerSchema.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (!tokenizer.success || tokenizer.data.pre_tokenizer.pretokenizers[0].pattern.Regex !== qwenSplit) {
    throw new UserError(`${file}: only Qwen's tokenizer and others that split text as it does can be written as GGUF`);
  }
  const { model, added_tokens: added } = tokenizer.data;
  const tokens = Array.from({ length: config.vocabSize }, (_, id) => `[PAD${id}]`);
  const kinds = new Array<number>(config.vocabSize).fill(tokenKinds.unused);
  for (const [token, id] of Object.entries(model.vocab)) {
    tokens[id] = token;
    kinds[id] = tokenKinds.normal;
  }
  for (const { id, content, special } of added) {
    tokens[id] = content;
    kinds[id] = special ? tokenKinds.control : tokenKinds.userDefined;
  }
  return [
    ['tokenizer.ggml.model', 'string', 'gpt2'],
    ['tokenizer.ggml.pre', 'string', 'qwen2'],
    ['tokenizer.ggml.tokens', 'strings', tokens],
    ['tokenizer.ggml.token_type', 'i32s', kinds],
    ['tokenizer.ggml.merges', 'strings', model.merges.map(pair => (typeof pair === 'string' ? pair : pair.join(' ')))],
    ...config.eosTokenIds.slice(0, 1).map((id): Metadata[number] => ['tokenizer.ggml.eos_token_id', 'u32', id]),
  ];
}

/** A tensor's name and dtype in the file. */
function ggufTensor({ name, shape, dtype }: StoredTensor): { name: string; dtype: Dtype } {
  return { name: ggufName(name), dtype: shape.length === 1 ? 'F32' : dtype };
}

const partNames: Record<string, string> = {
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

function ggufName(name: string): string {
  if (name === 'model.embed_tokens.weight') return 'token_embd.weight';
  if (name === 'model.norm.weight') return 'output_norm.weight';
  if (name === 'lm_head.weight') return 'output.weight';
  const [, layer, part] = /^model\.layers\.(\d+)\.(.+)\.weight$/.exec(name)!;
  return `blk.${layer}.${partNames[part]}.weight`;
}

function header(metadata: Metadata, tensors: readonly StoredTensor[]): Buffer {
  const parts: Buffer[] = [Buffer.from('GGUF'), u32(version), u64(tensors.length), u64(metadata.length)];
  for (const [key, type, value] of metadata) parts.push(text(key), typed(type, value));
  let offset = 0;
  for (const tensor of tensors) {
    const { name, shape, dtype } = tensor;
    parts.push(text(name), u32(shape.length), ...shape.toReversed().map(u64), u32(ggmlTypes[dtype]), u64(offset));
    offset += byteLength(tensor) + padding(byteLength(tensor));
  }
  const head = Buffer.concat(parts);
  return Buffer.concat([head, Buffer.alloc(padding(head.length))]);
}

function typed(type: Metadata[number][1], value: unknown): Buffer {
  switch (type) {
    case 'u32':
      return Buffer.concat([u32(4), u32(value as number)]);
    case 'f32': {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(value as number);
      return Buffer.concat([u32(6), bytes]);
    }
    case 'string':
      return Buffer.concat([u32(8), text(value as string)]);
    case 'strings': {
      const list = value as string[];
      return Buffer.concat([u32(9), u32(8), u64(list.length), ...list.map(text)]);
    }
    case 'i32s': {
      const list = value as number[];
      return Buffer.concat([u32(9), u32(5), u64(list.length), Buffer.from(Int32Array.from(list).buffer)]);
    }
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function byteLength({ shape, dtype }: StoredTensor): number {
  return elements(shape) * bytesPerElement[dtype];
}

/** Bytes that are missing to a multiple of the alignment. */
function padding(length: number): number {
  return (alignment - (length % alignment)) % alignment;
}
