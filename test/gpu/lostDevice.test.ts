// A run whose GPU is lost in the middle goes on, on either device, and no update is lost or made twice.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { smallShape } from '../../bench/smallSodRun.ts';
import { readMetrics } from '../../src/train/runDirectory.ts';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { difference } from './difference.ts';

const folder = temporaryFolder(afterAll);
const repository = dirname(dirname(cli));

/** Dawn, whose device is lost at the first work that it is given once a run has told of so many updates. */
const losingDawn = (dawn: string, metrics: string, updates: number) => `
import { readFileSync } from 'node:fs';
import { create, globals } from ${JSON.stringify(dawn)};
export { create, globals };
const { GPUAdapter, GPUQueue } = globals;
const { requestDevice } = GPUAdapter.prototype;
const { submit } = GPUQueue.prototype;
let device;
GPUAdapter.prototype.requestDevice = async function (...args) {
  device = await requestDevice.apply(this, args);
  return device;
};
GPUQueue.prototype.submit = function (...args) {
  submit.apply(this, args);
  if (told() >= ${updates}) device.destroy();
};
function told() {
  try {
    return readFileSync(${JSON.stringify(metrics)}, 'utf8').split('\\n').length - 1;
  } catch {
    return 0;
  }
}
`;

/** This program over such a Dawn; all else is as it is. @returns its command line */
function losing(run: string, updates: number): string {
  const app = join(folder, 'app');
  const packages = join(repository, 'node_modules');
  mkdirSync(join(app, 'node_modules/webgpu'), { recursive: true });
  cpSync(join(repository, 'dist'), join(app, 'dist'), { recursive: true });
  cpSync(join(repository, 'package.json'), join(app, 'package.json'));
  for (const name of readdirSync(packages)) {
    if (name !== 'webgpu') symlinkSync(join(packages, name), join(app, 'node_modules', name));
  }
  writeFileSync(join(app, 'node_modules/webgpu/package.json'), JSON.stringify({ type: 'module', main: 'index.js' }));
  const dawn = losingDawn(fileURLToPath(import.meta.resolve('webgpu')), join(run, 'metrics.jsonl'), updates);
  writeFileSync(join(app, 'node_modules/webgpu/index.js'), dawn);
  return join(app, 'dist/cli.js');
}

function sod(program: string, ...args: string[]) {
  const { status, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  return { status, stderr };
}

const updatesOf = (run: string) => readMetrics(run).map(({ update }) => update);

test('a run that loses its GPU between two checkpoints goes on from the first, on the GPU or the CPU', () => {
  const recipe = join(folder, 'sft.yaml');
  writeFileSync(
    recipe,
    stringify({
      method: 'sft',
      world: 'shop',
      init: smallShape,
      training: { demonstrations: 12, epochs: 1, batchSize: 2 },
      save: { every: 2 },
    }),
  );
  const [whole, lost, onCpu] = ['whole', 'lost', 'cpu'].map(name => join(folder, name));
  expect(sod(cli, 'train', recipe, '--run', whole, '--device', 'gpu').status).toBe(0);

  const { status, stderr } = sod(losing(lost, 3), 'train', recipe, '--run', lost, '--device', 'gpu');
  expect(status).toBe(1);
  expect(stderr).toMatch(/^the GPU cannot be used: it was lost \(.+\); .*--resume.*$/m);
  expect(stderr).not.toMatch(/\.[jt]s:\d/);
  expect(updatesOf(lost)).toEqual(updatesOf(whole).slice(0, 3));

  cpSync(lost, onCpu, { recursive: true });
  expect(sod(cli, 'train', '--resume', lost, '--device', 'gpu').status).toBe(0);
  expect(sod(cli, 'train', '--resume', onCpu, '--device', 'cpu').status).toBe(0);
  for (const run of [lost, onCpu]) expect(updatesOf(run)).toEqual(updatesOf(whole));
  expect(updatesOf(whole)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(difference(join(whole, 'final'), join(lost, 'final'))).toBe(0);
  expect(difference(join(whole, 'final'), join(onCpu, 'final'))).toBeLessThan(1e-3);
});
