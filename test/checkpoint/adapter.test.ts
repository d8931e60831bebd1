import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { tokenizerHome } from '../../src/checkpoint/adapter.ts';
import { readCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { mergeAdapter } from '../../src/checkpoint/mergeAdapter.ts';
import { readShape } from '../../src/checkpoint/shape.ts';
import { writeSafetensors } from '../../src/model/safetensors.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const tensor = (name: string, shape: number[], values: number[]) => ({
  name,
  dtype: 'F32' as const,
  shape,
  read: () => Float32Array.from(values),
});
const model = [
  tensor('model.layers.0.self_attn.q_proj.weight', [2, 3], [1, 2, 3, 4, 5, 6]),
  tensor('model.norm.weight', [3], [1, 1, 1]),
];

function writeAdapter(names: [string, string], base?: string, more: object = {}): string {
  const folder = join(temporaryFolder(), 'adapter');
  mkdirSync(folder);
  const config = { r: 1, lora_alpha: 2, peft_type: 'LORA', base_model_name_or_path: base, ...more };
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify(config));
  writeSafetensors(join(folder, 'adapter_model.safetensors'), [
    tensor(names[0], [1, 3], [1, 0, -1]),
    tensor(names[1], [2, 1], [0.5, 2]),
  ]);
  return folder;
}

test('an adapter is added to the matrices that it was trained on, as alpha / r times B A', () => {
  const name = 'base_model.model.model.layers.0.self_attn.q_proj';
  const [matrix, norm] = mergeAdapter(model, writeAdapter([`${name}.lora_A.weight`, `${name}.lora_B.weight`]));
  expect([...matrix.read()]).toEqual([2, 2, 2, 8, 5, 2]);
  expect([...norm.read()]).toEqual([1, 1, 1]);
});

test.each([
  [{ use_rslora: true, lora_alpha: 4 }, 4],
  [{ alpha_pattern: { k_proj: 8, 'layers\\.0\\..*q_proj': 4 } }, 4],
  [{ alpha_pattern: { q_pro: 8 } }, 2],
  [{ bias: 'none', modules_to_save: [], use_dora: false, rank_pattern: { q_proj: 1 } }, 2],
])('an adapter is scaled as PEFT does: %j', (config, scale) => {
  const name = 'base_model.model.model.layers.0.self_attn.q_proj';
  const folder = writeAdapter([`${name}.lora_A.weight`, `${name}.lora_B.weight`], undefined, config);
  const [matrix] = mergeAdapter(model, folder);
  expect([...matrix.read()]).toEqual([1 + scale / 2, 2, 3 - scale / 2, 4 + 2 * scale, 5, 6 - 2 * scale]);
});

test('the rank is each matrix its own, and of rank-stabilised adapters its root counts', () => {
  const name = 'base_model.model.model.layers.0.self_attn.q_proj';
  const config = { r: 1, rank_pattern: { q_proj: 4 }, lora_alpha: 8, use_rslora: true };
  const folder = writeAdapter(['a', 'b'], undefined, config);
  writeSafetensors(join(folder, 'adapter_model.safetensors'), [
    tensor(`${name}.lora_A.weight`, [4, 3], Array(12).fill(1)),
    tensor(`${name}.lora_B.weight`, [2, 4], Array(8).fill(1)),
  ]);
  expect([...mergeAdapter(model, folder)[0].read()]).toEqual([1, 2, 3, 4, 5, 6].map(value => value + 4 * (8 / 2)));
});

test.each([
  ['use_dora', true],
  ['bias', 'lora_only'],
  ['modules_to_save', ['lm_head']],
  ['peft_type', 'ADALORA'],
  ['lora_bias', true],
])('what is not computed is refused by name: %s', (key, value) => {
  const folder = writeAdapter(['a', 'b'], undefined, { [key]: value });
  expect(() => mergeAdapter(model, folder)).toThrow(new RegExp(`adapter_config\\.json: ${key} is .*merge_and_unload`));
});

test('an adapter of another model is refused', () => {
  const name = 'base_model.model.model.layers.7.self_attn.q_proj';
  const folder = writeAdapter([`${name}.lora_A.weight`, `${name}.lora_B.weight`]);
  expect(() => mergeAdapter(model, folder)).toThrow(/the model nothing that it changes/);
});

test('the folder of an adapter is a checkpoint: the model that it names, with its tokenizer, changed', () => {
  const base = resolve('test/vectors/llama-tiny');
  const folder = writeAdapter(['a', 'b'], base);
  writeSafetensors(join(folder, 'adapter_model.safetensors'), [
    tensor('base_model.model.model.layers.1.mlp.down_proj.lora_A.weight', [1, 20], Array(20).fill(1)),
    tensor('base_model.model.model.layers.1.mlp.down_proj.lora_B.weight', [24, 1], Array(24).fill(0.5)),
  ]);
  const [plain, adapted] = [base, folder].map(readCheckpoint);
  expect(adapted.config).toEqual(plain.config);
  expect(readShape(folder)).toEqual(plain.config);
  for (const [i, { name, read }] of plain.tensors.entries()) {
    const added = name.includes('layers.1.mlp.down_proj') ? 1 : 0;
    expect(adapted.tensors[i].read()).toEqual(read().map(value => value + added));
  }
  for (const checkpoint of [plain, adapted]) checkpoint.close();
  expect(tokenizerHome(folder)).toBe(base);
  writeFileSync(join(folder, 'tokenizer.json'), '{}');
  expect(tokenizerHome(folder)).toBe(folder);
});

test('an adapter of a model that is not here says so', () => {
  const folder = writeAdapter(['a', 'b'], 'org/away');
  expect(() => readCheckpoint(folder)).toThrow(
    /is an adapter of org\/away, which is not on this machine: put that model/,
  );
});
