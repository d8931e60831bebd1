import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mergeAdapter } from '../../src/checkpoint/adapter.ts';
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

function writeAdapter(names: [string, string]): string {
  const folder = join(temporaryFolder(), 'adapter');
  mkdirSync(folder);
  writeFileSync(join(folder, 'adapter_config.json'), JSON.stringify({ r: 1, lora_alpha: 2, peft_type: 'LORA' }));
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

test('an adapter of another model is refused', () => {
  const name = 'base_model.model.model.layers.7.self_attn.q_proj';
  const folder = writeAdapter([`${name}.lora_A.weight`, `${name}.lora_B.weight`]);
  expect(() => mergeAdapter(model, folder)).toThrow(/the model nothing that it changes/);
});
