// A machine without a compiler: the CPU's kernels are not there, and everything is computed on the GPU.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { smallShape } from '../../bench/smallSodRun.ts';
import { type Tiles, tileName } from '../../src/tensor/gpu/tiles.ts';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const folder = temporaryFolder(afterAll);
const env = { ...process.env, SOD_KERNELS: '/nowhere/sod.node', XDG_CACHE_HOME: folder };

function sod(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], {
    env,
    encoding: 'utf8',
    cwd: folder,
  });
  expect(stderr).not.toMatch(/kernels, \/nowhere|\.[jt]s:\d/);
  expect(status, stderr).toBe(0);
  return stdout;
}

/** The stages of the smoke demo, with a model of width 32. */
function smallComparison(): string {
  const write = (name: string, content: unknown) => writeFileSync(join(folder, name), stringify(content));
  write('sft.yaml', {
    method: 'sft',
    world: 'shop',
    init: smallShape,
    training: { demonstrations: 4, epochs: 1, batchSize: 2 },
  });
  const few = {
    world: 'shop',
    rollout: { groupSize: 2, maxTurns: 2, maxResponseTokens: 12 },
    training: { iterations: 1, promptsPerIteration: 1, promptsPerUpdate: 1 },
  };
  write('grpo.yaml', { method: 'grpo', ...few });
  write('distill.yaml', few);
  write('compare.yaml', {
    stages: {
      'teacher-sft': { recipe: 'sft.yaml' },
      'teacher-grpo': { recipe: 'grpo.yaml', model: 'teacher-sft' },
      'student-sft': { recipe: 'sft.yaml' },
    },
    student: 'student-sft',
    teacher: 'teacher-grpo',
    recipe: 'distill.yaml',
    seeds: [0],
    methods: { opd: { method: 'opd' }, sod: { method: 'sod' } },
    eval: { tasks: 1, k: 2, temperature: 1, topP: 0.6, maxTurns: 2, maxResponseTokens: 12 },
  });
  return join(folder, 'compare.yaml');
}

test('a teacher is trained, and a student distilled and measured', { timeout: 600_000 }, () => {
  const told = sod('compare', smallComparison(), '--device', 'gpu', '--out', 'compared');
  for (const name of ['teacher', 'vanilla', 'sft', 'opd', 'sod'])
    expect(told).toMatch(new RegExp(`^ *${name}\\b`, 'm'));
  expect(JSON.parse(readFileSync(join(folder, 'compared/table.json'), 'utf8'))).toBeTruthy();
  expect(existsSync(join(folder, 'compared/full/methods/sod/seed-0/final/model.safetensors'))).toBe(true);
});

test('what is there is told', { timeout: 600_000 }, () => {
  const [cpu, gpu] = sod('devices').split('\n');
  expect(cpu).toMatch(/^cpu: none \(the CPU's kernels, .*--device gpu.*\)$/);
  expect(gpu).toMatch(/^gpu: .* GFLOP\/s in f32/);
  const { tiles } = JSON.parse(readFileSync(join(folder, 'sod/devices.json'), 'utf8'));
  for (const [name, found] of Object.entries<Tiles>(tiles)) {
    expect(gpu).toContain(name);
    for (const tile of Object.values(found)) expect(gpu).toContain(tileName(tile));
  }
  expect(Object.keys(tiles)).toHaveLength(1);
});
