import { writeSync } from 'node:fs';
import { z } from 'zod';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { readCheckpointFiles, readTokenizer } from '../checkpoint/textFiles.ts';
import { UserError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Dtype } from '../model/dtype.ts';
import { elements, type StoredTensor, writeValues } from '../model/safetensors.ts';
import { quantizeQ8 } from './blocks.ts';
import { type Metadata, type TensorToWrite, type WriteControl, writeGgufFile } from './file.ts';
import { ggufName } from './names.ts';
import { factorsName, frequencyFactors } from './rope.ts';
import { inNeighbours } from './rowOrder.ts';
import { shapeMetadata } from './shape.ts';
import { storedBytes, tensorTypes } from './tensorTypes.ts';
import { preTokenizerName, preTokenizers, tokenKinds } from './tokenFormat.ts';

/** How matrices are stored. */
export type ExportType = 'f32' | 'f16' | 'bf16' | 'q8_0';

/** llama.cpp's number for what most of a file's values are (LLAMA_FTYPE). */
const fileTypes: Record<ExportType, number> = { f32: 0, f16: 1, q8_0: 7, bf16: 32 };

const storedTypes = { f32: 'F32', f16: 'F16', bf16: 'BF16', q8_0: 'Q8_0' } as const;

/** Of the q8_0 format as it is today. */
const quantizationVersion = 2;

export interface GgufOptions extends WriteControl {
  /** Default: the type that most of the checkpoint's values have. */
  type?: ExportType;
  /** What programs show as the model's name. */
  name: string;
}

/**
 * Writes a checkpoint with its tokenizer and chat template as one GGUF file: matrices in the type asked for, norms in float32.
 * Rows that are no whole blocks of 32 are float16 where q8_0 is asked for, as in llama.cpp.
 * @throws UserError when llama.cpp would leave out biases that the model has, or the tokenizer is not a byte-level BPE that splits text in a way that GGUF has a name for.
 */
export async function writeGguf(path: string, checkpoint: Checkpoint, options: GgufOptions): Promise<void> {
  const type = options.type ?? ownType(checkpoint);
  const { config } = checkpoint;
  refuseUnreadBiases(config);
  const tensors = checkpoint.tensors.map((asItIs): TensorToWrite => {
    const tensor = inNeighbours(asItIs, config);
    const stored = outType(tensor.shape, type);
    const write = stored === 'Q8_0' ? quantized(tensor) : (fd: number) => writeValues(fd, { ...tensor, dtype: stored });
    return { name: ggufName(tensor.name), shape: tensor.shape, type: stored, write };
  });
  const all = [...tensors, ...scalingTensors(config)];
  await writeGgufFile(path, ggufMetadata(checkpoint, options.name, type), all, options);
}

function refuseUnreadBiases({ outputBiases, family }: ModelConfig): void {
  if (!outputBiases || family.gguf.optionalBiases) return;
  throw new UserError(
    `a ${family.title} model whose attention_bias is true cannot be written as GGUF: llama.cpp reads no such biases`,
  );
}

/** What a file says of a model beside its weights: its shape, its tokenizer and its chat template. */
export function ggufMetadata({ config, dir }: Checkpoint, name: string, type: ExportType): Metadata {
  return [
    ...shapeMetadata(config),
    ['general.name', 'string', name],
    ['general.file_type', 'u32', fileTypes[type]],
    ['general.quantization_version', 'u32', quantizationVersion],
    ...tokenizerMetadata(dir, config),
  ];
}

/** The type that the largest of a checkpoint's tensors has. */
export function ownType({ tensors }: Checkpoint): ExportType {
  const largest = tensors.reduce((a, b) => (elements(b.shape) > elements(a.shape) ? b : a));
  return largest.dtype.toLowerCase() as ExportType;
}

function outType(shape: readonly number[], type: ExportType): Dtype | 'Q8_0' {
  if (shape.length === 1) return 'F32';
  const blocks = shape.at(-1)! % tensorTypes.Q8_0.values === 0;
  return type === 'q8_0' && !blocks ? 'F16' : storedTypes[type];
}

/** Rows at a time, so that a large matrix is not in memory twice. */
const quantizedValues = 1 << 20;

function quantized(tensor: StoredTensor): (fd: number) => void {
  return fd => {
    const values = tensor.read();
    for (let done = 0; done < values.length; done += quantizedValues) {
      const part = values.subarray(done, done + quantizedValues);
      const blocks = new Uint8Array(storedBytes('Q8_0', part.length));
      quantizeQ8(part, blocks);
      for (let written = 0; written < blocks.length; ) written += writeSync(fd, blocks, written);
    }
  };
}

/** @throws UserError where llama.cpp would not look for it. */
function scalingTensors(config: ModelConfig): TensorToWrite[] {
  if (config.ropeScaling?.type !== 'llama3') return [];
  if (!config.family.gguf.frequencyFactors) {
    throw new UserError(
      `a ${config.family.title} model whose positions are scaled by llama3 cannot be written as GGUF`,
    );
  }
  const factors = frequencyFactors(config);
  const tensor: StoredTensor = { name: factorsName, dtype: 'F32', shape: [factors.length], read: () => factors };
  return [{ name: factorsName, shape: tensor.shape, type: 'F32', write: fd => writeValues(fd, tensor) }];
}

const tokenizerSchema = z.object({
  pre_tokenizer: z.object({
    pretokenizers: z.array(z.looseObject({ type: z.string() })),
  }),
  model: z.object({
    vocab: z.record(z.string(), z.int().nonnegative()),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  }),
  added_tokens: z.array(
    z.object({ id: z.int().nonnegative(), content: z.string(), special: z.boolean().default(false) }),
  ),
});

function tokenizerMetadata(dir: string, config: ModelConfig): Metadata {
  const tokenizer = tokenizerSchema.safeParse(readTokenizer(dir));
  const pre = tokenizer.data && preTokenizerName(tokenizer.data.pre_tokenizer.pretokenizers);
  if (!tokenizer.success || pre === undefined) {
    throw new UserError(
      `${dir}: its tokenizer splits text in a way that has no name in GGUF here; ` +
        `those of ${Object.keys(preTokenizers).join(', ')} have`,
    );
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
    ['tokenizer.ggml.pre', 'string', pre],
    ['tokenizer.ggml.tokens', 'strings', tokens],
    ['tokenizer.ggml.token_type', 'i32s', kinds],
    ['tokenizer.ggml.merges', 'strings', model.merges.map(pair => (typeof pair === 'string' ? pair : pair.join(' ')))],
    ...specialTokens(dir, config, added),
  ];
}

/** The end of a turn, padding, and the chat template; before a text stands what the template puts there, and nothing unasked. */
function specialTokens(dir: string, config: ModelConfig, added: readonly { id: number; content: string }[]): Metadata {
  const files = readCheckpointFiles(dir);
  const id = (content: string | null | undefined) => added.find(token => token.content === content)?.id;
  const padding = id(files.config.pad_token);
  const bos = /\bbos_token\b/.test(files.template) ? id(files.config.bos_token) : undefined;
  const tokens = {
    eos: id(files.config.eos_token) ?? config.eosTokenIds[0],
    padding,
    // Never put before a text, but llama.cpp would take token 11 for it.
    bos: id(files.config.bos_token) ?? padding,
  };
  return [
    ['tokenizer.ggml.add_bos_token', 'bool', bos !== undefined],
    ...Object.entries(tokens).flatMap(
      ([name, id]): Metadata => (id === undefined ? [] : [[`tokenizer.ggml.${name}_token_id`, 'u32', id]]),
    ),
    ['tokenizer.chat_template', 'string', files.template],
  ];
}
