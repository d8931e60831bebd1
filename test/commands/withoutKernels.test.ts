// A machine without a compiler and without a GPU: what computes nothing works, and the rest says what to install.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { writeSafetensors } from '../../src/model/safetensors.ts';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { normal } from '../tensor/gradientCheck.ts';

const tinyModel = fileURLToPath(new URL('../vectors/qwen3-tiny-tied', import.meta.url));
const folder = temporaryFolder(afterAll);
const nowhere = '/nowhere/sod.node';
const env = { ...process.env, SOD_KERNELS: nowhere, VK_ICD_FILENAMES: '/nowhere.json', XDG_CACHE_HOME: folder };

function sod(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { env, encoding: 'utf8' });
  return { status, stdout, stderr };
}

test('who needs the CPU is told what to install, in one line', () => {
  const { status, stderr } = sod('run', tinyModel);
  expect(stderr).toMatch(
    /^the CPU's kernels, \/nowhere\/sod\.node, are not there: install make and a C\+\+17 compiler .*--device gpu.*\n$/,
  );
  expect(status).toBe(1);
});

test('kernels that cannot be loaded are told from those that are missing', () => {
  const broken = join(folder, 'broken.node');
  writeFileSync(broken, 'no module');
  const { stderr } = spawnSync(process.execPath, [cli, 'run', tinyModel], {
    env: { ...env, SOD_KERNELS: broken },
    encoding: 'utf8',
  });
  expect(stderr).toMatch(/^the CPU's kernels, .*broken\.node, cannot be used \(.+\): .*run setup\.sh.*\n$/);
});

test('an adapter is merged into its model all the same', () => {
  const matrix = 'model.layers.1.mlp.up_proj';
  const { tensors, close } = readCheckpoint(tinyModel);
  const [out, columns] = tensors.find(({ name }) => name === `${matrix}.weight`)!.shape;
  close();
  const adapter = join(folder, 'adapter');
  mkdirSync(adapter);
  const config = { r: 3, lora_alpha: 6, peft_type: 'LORA', base_model_name_or_path: tinyModel };
  writeFileSync(join(adapter, 'adapter_config.json'), JSON.stringify(config));
  const factor = (side: 'A' | 'B', ...shape: number[]) => ({
    name: `base_model.model.${matrix}.lora_${side}.weight`,
    dtype: 'F32' as const,
    shape,
    read: () => normal(side === 'A' ? 1 : 2, ...shape).data as Float32Array<ArrayBuffer>,
  });
  writeSafetensors(join(adapter, 'adapter_model.safetensors'), [factor('A', 3, columns), factor('B', out, 3)]);

  const merged = join(folder, 'merged');
  const { status, stderr } = sod('export', adapter, '--format', 'safetensors', '--out', merged);
  expect(status, stderr).toBe(0);
  const [actual, expected] = [merged, adapter].map(checkpoint => {
    const { tensors, close } = readCheckpoint(checkpoint);
    const values = tensors.find(({ name }) => name === `${matrix}.weight`)!.read();
    close();
    return values;
  });
  expect(expected).not.toEqual(
    readCheckpoint(tinyModel)
      .tensors.find(({ name }) => name === `${matrix}.weight`)!
      .read(),
  );
  actual.forEach((value, i) => {
    expect(Math.abs(value - expected[i])).toBeLessThan(1e-5);
  });
});
