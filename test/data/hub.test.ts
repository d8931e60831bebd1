import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { localCheckpoint } from '../../src/checkpoint/reference.ts';
import { openTasks } from '../../src/data/tasks.ts';
import { parseBenchmarks } from '../../src/eval/benchmarks.ts';
import { writeSafetensors } from '../../src/model/safetensors.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { filesOf, TestHub } from '../hub/server.ts';
import { type Kind, writeParquet } from './writeParquet.ts';

let hub: TestHub;

beforeEach(async () => {
  hub = await new TestHub().start();
  vi.stubEnv('HF_HOME', temporaryFolder());
  vi.stubEnv('HF_HUB_CACHE', '');
  vi.stubEnv('HF_HUB_OFFLINE', '');
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
});

function parquet(name: string, columns: Record<string, Kind>, row: Record<string, unknown>) {
  return { content: readFileSync(writeParquet(name, columns, [row])), isLarge: true };
}

test("a benchmark's name is a file on the Hub, downloaded once, and there without network", async () => {
  hub.commit('datasets/Gen-Verse/Open-AgentRL-Eval', {
    'README.md': { content: Buffer.from('# Evaluation') },
    'aime2024/aime_2024_problems.parquet': parquet(
      'hub24.parquet',
      { Problem: 'text', Answer: 'integer' },
      { Problem: 'How many?', Answer: 204n },
    ),
    'gpqa-diamond/gpqa_diamond.parquet': parquet(
      'hubGpqa.parquet',
      { problem: 'text', solution: 'text', domain: 'text' },
      { problem: 'Which?', solution: 'C', domain: 'Chemistry' },
    ),
  });
  const [aime, gpqa] = parseBenchmarks('aime24,gpqa-diamond');
  const downloads: string[] = [];
  const onDownload = (file: string) => downloads.push(file);
  expect((await openTasks(aime.dataset, { onDownload })).read(0).answer).toBe('204');
  expect(new Set(downloads)).toEqual(new Set(['aime2024/aime_2024_problems.parquet']));
  expect((await openTasks(gpqa.dataset)).read(0).answer).toBe('C');

  vi.stubEnv('HF_HUB_OFFLINE', '1');
  hub.requests.length = 0;
  expect((await openTasks(aime.dataset)).read(0).answer).toBe('204');
  expect(hub.requests).toEqual([]);
});

test('the training files of a dataset are its rows, one file after the other', async () => {
  const lines = (answer: number) => ({ content: Buffer.from(`{"prompt": "How many?", "answer": ${answer}}\n`) });
  hub.commit('datasets/org/problems', {
    'data/test.jsonl': lines(0),
    'data/train-00001.jsonl': lines(2),
    'data/train-00000.jsonl': lines(1),
  });
  const tasks = await openTasks({ source: 'hf:org/problems' });
  expect([0, 1].map(i => tasks.read(i).answer)).toEqual(['1', '2']);
  await expect(openTasks({ source: 'hf:org/problems', split: 'validation' })).rejects.toThrow(/data\/test\.jsonl/);
});

test('of a model what a checkpoint needs is downloaded', async () => {
  const file = (text: string) => ({ content: Buffer.from(text) });
  hub.commit('models/org/model', {
    'README.md': file('# Model'),
    'config.json': file('{}'),
    'model.safetensors': { content: Buffer.alloc(100), isLarge: true },
    'onnx/model.onnx': file('other'),
    'chat_template.jinja': file('{{ messages }}'),
  });
  const folder = await localCheckpoint('hf:org/model', {});
  expect(readFileSync(join(folder, 'config.json'), 'utf8')).toBe('{}');
  expect(() => readFileSync(join(folder, 'README.md'))).toThrow();
});

test('an adapter whose base is on the Hub brings it along, and is the merged model without network', async () => {
  const [base, weights] = ['test/vectors/llama-tiny', join(temporaryFolder(), 'adapter_model.safetensors')];
  const factor = (name: string, shape: number[]) => ({
    name: `base_model.model.model.layers.1.mlp.down_proj.${name}.weight`,
    dtype: 'F32' as const,
    shape,
    read: () => new Float32Array(shape[0] * shape[1]).fill(1),
  });
  writeSafetensors(weights, [factor('lora_A', [1, 20]), factor('lora_B', [24, 1])]);
  const config = { r: 1, lora_alpha: 1, base_model_name_or_path: 'org/base' };
  hub.commit('models/org/base', filesOf(base));
  hub.commit('models/org/adapter', {
    'adapter_config.json': { content: Buffer.from(JSON.stringify(config)) },
    'adapter_model.safetensors': { content: readFileSync(weights), isLarge: true },
  });
  const folder = await localCheckpoint('hf:org/adapter', {});
  vi.stubEnv('HF_HUB_OFFLINE', '1');
  expect(await localCheckpoint(folder, {})).toBe(folder);
  const [plain, merged] = [base, folder].map(readCheckpoint);
  const changed = merged.tensors.filter(
    ({ read }, i) => !Buffer.from(read().buffer).equals(Buffer.from(plain.tensors[i].read().buffer)),
  );
  expect(changed.map(({ name }) => name)).toEqual(['model.layers.1.mlp.down_proj.weight']);
  for (const checkpoint of [plain, merged]) checkpoint.close();
});
