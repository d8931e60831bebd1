import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { readCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { type ExportType, writeGguf } from '../../src/gguf/write.ts';
import { demoSized, writeRandomQwen3 } from '../randomQwen3.ts';

/** llama.cpp's formats in 16 bits or more. */
export const ggufTypes = ['bf16', 'f16', 'f32'] as const satisfies ExportType[];

/** What is measured: models with random weights in every format that the peers read. */
export interface Models {
  /** Qwen3-0.6B's shape. */
  large: string;
  largeGguf: Record<(typeof ggufTypes)[number], string>;
  /** About a million parameters, as in the demo. */
  small: string;
  /** 42 million parameters, two fifths of them for 32k words; two models, with weights of their own. */
  student: string;
  teacher: string;
}

const distilled = {
  ...demoSized,
  head_dim: 64,
  hidden_size: 512,
  intermediate_size: 1536,
  num_attention_heads: 8,
  num_hidden_layers: 8,
  num_key_value_heads: 4,
  vocab_size: 32_768,
};

/** Writes the models under `folder` where they are missing. */
export async function prepareModels(folder: string): Promise<Models> {
  mkdirSync(folder, { recursive: true });
  const models = {
    large: join(folder, 'qwen3-0.6b'),
    largeGguf: {
      bf16: join(folder, 'qwen3-0.6b.gguf'),
      f16: join(folder, 'qwen3-0.6b-f16.gguf'),
      f32: join(folder, 'qwen3-0.6b-f32.gguf'),
    },
    small: join(folder, 'demo-sized'),
    student: join(folder, 'student'),
    teacher: join(folder, 'teacher'),
  };
  if (!existsSync(models.large)) await writeRandomQwen3(models.large);
  if (!existsSync(models.small)) await writeRandomQwen3(models.small, demoSized);
  if (!existsSync(models.student)) await writeRandomQwen3(models.student, distilled);
  if (!existsSync(models.teacher)) await writeRandomQwen3(models.teacher, { ...distilled, initializer_range: 0.03 });
  for (const type of ggufTypes) await writeLlama(models.large, models.largeGguf[type], type);
  return models;
}

async function writeLlama(folder: string, path: string, type: ExportType): Promise<void> {
  if (existsSync(path)) return;
  const checkpoint = readCheckpoint(folder);
  try {
    await writeGguf(path, checkpoint, { name: 'random', type });
  } finally {
    checkpoint.close();
  }
}
