import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sizeText } from '../bytes.ts';
import { writeCheckpoint } from '../checkpoint/checkpoint.ts';
import { readJson } from '../documents.ts';
import { availableMemory } from '../engine/local/memory.ts';
import { UserError } from '../errors.ts';
import { refuseFullDisk } from '../files.ts';
import { type ModelConfig, parameterCount, parseConfig, tensorShapes } from '../model/config.ts';
import { elements, type StoredTensor } from '../model/safetensors.ts';
import { Random } from '../random.ts';
import { defaultVocabulary, writeTokenizer } from '../worlds/tokenizer.ts';
import type { World } from '../worlds/world.ts';
import type { Init } from './recipe.ts';

/**
 * Writes a fresh model of the given shape with a tokenizer made for `world`: norms are 1, matrices normal with standard
 * deviation 1/√hidden, smaller where they write to the residual stream (by √(2·layers), as in GPT-2). The usual 0.02
 * suits a hidden size of thousands; a small model takes far longer to learn to copy from it.
 * Same world, shape and seed, same files.
 * @throws UserError if the shape is not one the decoder has, or the world has no expert to learn a tokenizer from.
 */
export async function initializeCheckpoint(dir: string, init: Init, world: World, seed: number): Promise<void> {
  const { demonstrate } = world;
  if (!demonstrate) {
    throw new UserError(
      `world ${world.name} has no expert, from whose words the tokenizer of a fresh model is learned`,
    );
  }
  refuseTooLarge(dir, freshConfig(init, defaultVocabulary));
  const tokenizer = mkdtempSync(join(tmpdir(), 'sod-tokenizer-'));
  try {
    const { vocabularySize } = await writeTokenizer(tokenizer, { ...world, demonstrate });
    const config = freshConfig(init, vocabularySize, endTokens(tokenizer));
    await writeCheckpoint(dir, config, [...tensorShapes(config)].map(randomTensor(config, seed)), { from: tokenizer });
  } finally {
    rmSync(tokenizer, { recursive: true, force: true });
  }
}

/** @throws UserError where the disk has no room for a model, or the memory none for the largest of its tensors. */
function refuseTooLarge(dir: string, config: ModelConfig): void {
  refuseFullDisk(dir, 4 * parameterCount(config));
  const largest = 4 * Math.max(...[...tensorShapes(config).values()].map(elements));
  if (largest <= availableMemory()) return;
  throw new UserError(
    `${dir}: its largest tensor would have ${sizeText(largest)}, and ${sizeText(availableMemory())} of memory are free: make it smaller`,
  );
}

/** The shape of the model that `init` describes. */
export function freshConfig(init: Init, vocabularySize: number, endTokenIds?: unknown): ModelConfig {
  return parseConfig(
    {
      architectures: ['Qwen3ForCausalLM'],
      model_type: 'qwen3',
      hidden_size: init.hiddenSize,
      intermediate_size: init.intermediateSize,
      num_hidden_layers: init.layers,
      num_attention_heads: init.heads,
      num_key_value_heads: init.kvHeads,
      head_dim: init.headDim,
      vocab_size: vocabularySize,
      tie_word_embeddings: init.tieEmbeddings,
      hidden_act: 'silu',
      rope_theta: 10_000,
      rms_norm_eps: 1e-6,
      max_position_embeddings: 32_768,
      initializer_range: 1 / Math.sqrt(init.hiddenSize),
      eos_token_id: endTokenIds,
    },
    'init',
  );
}

function endTokens(tokenizer: string): unknown {
  const file = join(tokenizer, 'generation_config.json');
  return existsSync(file) ? (readJson(file) as { eos_token_id?: unknown }).eos_token_id : undefined;
}

const randomTensor =
  ({ initializerRange, layers }: ModelConfig, seed: number) =>
  ([name, shape]: [string, number[]]): StoredTensor => ({
    name,
    dtype: 'F32',
    shape,
    read() {
      const random = Random.of(seed, 'init', name);
      const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
      if (shape.length === 1) return values.fill(1);
      const deviation = /(o_proj|down_proj)/.test(name) ? initializerRange / Math.sqrt(2 * layers) : initializerRange;
      for (let i = 0; i < values.length; i++) values[i] = deviation * random.normal();
      return values;
    },
  });
