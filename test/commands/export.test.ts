import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { refuseOtherTokens } from '../../src/text/sameTokens.ts';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { weatherModel } from '../serve/weatherModel.ts';

const folder = temporaryFolder(afterAll);
let model: string;
beforeAll(async () => {
  model = await weatherModel();
}, 180_000);

function sodExport(...args: string[]) {
  return spawnSync(process.execPath, [cli, 'export', ...args], { cwd: folder, encoding: 'utf8' });
}

const path = (name: string) => join(folder, name);

function weights(checkpoint: string): [string, Float32Array][] {
  const { tensors, close } = readCheckpoint(checkpoint);
  const read = tensors.map(({ name, read }): [string, Float32Array] => [name, read()]);
  close();
  return read;
}

test('to GGUF and back to a folder: the same weights, the same prompts, the same tokens', () => {
  expect(sodExport(model, '--name', 'clerk').stdout).toBe('clerk as f32: clerk-f32.gguf\n');
  expect(sodExport('clerk-f32.gguf', '--format', 'safetensors', '--out', 'back').status).toBe(0);
  expect(weights(path('clerk-f32.gguf'))).toEqual(weights(model));
  expect(weights(path('back'))).toEqual(weights(model));
  expect(readdirSync(path('back')).sort()).toEqual([
    'config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  const prompt = (checkpoint: string) => loadChat(checkpoint).prompt([{ role: 'user', content: 'Oslo? 😀' }], []);
  expect(prompt(path('back'))).toEqual(prompt(model));
  for (const other of ['clerk-f32.gguf', 'back']) refuseOtherTokens(model, path(other));
});

test('a GGUF file becomes one of another type', () => {
  expect(sodExport(model, '--name', 'small', '--type', 'bf16').status).toBe(0);
  expect(sodExport('small-bf16.gguf', '--type', 'q8_0', '--name', 'small').status).toBe(0);
  expect(sodExport('small-q8_0.gguf', '--type', 'f32', '--name', 'wide').status).toBe(0);
  expect(weights(path('wide-f32.gguf'))).toEqual(weights(path('small-q8_0.gguf')));
});

test('what is there is replaced only when that is asked for, and nothing else is touched', () => {
  writeFileSync(path('mine.gguf'), 'mine');
  const refused = sodExport(model, '--out', 'mine.gguf');
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining('--force replaces it') });
  expect(readFileSync(path('mine.gguf'), 'utf8')).toBe('mine');
  expect(sodExport(model, '--out', 'mine.gguf', '--force').status).toBe(0);
  expect(weights(path('mine.gguf'))).toEqual(weights(model));
  expect(sodExport(model, '--format', 'safetensors', '--type', 'q8_0')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('safetensors has no q8_0'),
  });
  expect(sodExport(path('mine.gguf').replace('mine', 'none'))).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/^[^\n]*none\.gguf: no such file or folder[^\n]*\n$/),
  });
});
