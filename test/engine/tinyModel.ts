import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { readCheckpoint, writeCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { parseConfig, tensorShapes } from '../../src/model/config.ts';
import { rotaryTable } from '../../src/model/rope.ts';
import { loadWeights } from '../../src/model/weights.ts';
import { Random } from '../../src/random.ts';

export const vocabSize = 101;
export const maxPositions = 512;

/** A folder that is gone when the tests that need it are: pass `afterAll` to share it between them. */
export function temporaryFolder(whenDone: (clean: () => void) => void = onTestFinished): string {
  const dir = mkdtempSync(join(tmpdir(), 'sod-engine-'));
  whenDone(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Writes a random model of two small layers with odd sizes, whose predictions are far from uniform. `changes` are keys of its config. */
export async function writeTinyModel(dir: string, seed = 1, changes: object = {}): Promise<string> {
  const config = parseConfig({
    architectures: ['Qwen3ForCausalLM'],
    hidden_size: 40,
    intermediate_size: 56,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 12,
    vocab_size: vocabSize,
    tie_word_embeddings: seed % 2 === 1,
    max_position_embeddings: maxPositions,
    ...changes,
  });
  const tensors = [...tensorShapes(config)].map(([name, shape]) => ({
    name,
    dtype: 'F32' as const,
    shape,
    read() {
      const random = Random.of(seed, name);
      const mean = shape.length === 1 ? 1 : 0;
      const size = shape.reduce((a, b) => a * b, 1);
      return Float32Array.from({ length: size }, () => mean + 0.25 * random.normal());
    },
  }));
  await writeCheckpoint(dir, config, tensors);
  return dir;
}

/** Its weights and rotary table in this thread; the caller frees both. */
export function loadModel(dir: string, options: { dtype: 'f32' | 'bf16'; trainable: boolean }) {
  const checkpoint = readCheckpoint(dir);
  const weights = loadWeights(checkpoint, options);
  checkpoint.close();
  return { weights, rotary: rotaryTable(checkpoint.config, checkpoint.config.maxPositions) };
}

export function randomTokens(length: number, ...path: (number | string)[]): number[] {
  const random = Random.of('tokens', ...path);
  return Array.from({ length }, () => random.below(vocabSize));
}
