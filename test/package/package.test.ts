import { execFileSync } from 'node:child_process';
import { cpSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../engine/tinyModel.ts';

const root = resolve(import.meta.dirname, '../..');
let app: string;

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: app, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A package of somebody's own that has this one among its dependencies. */
beforeAll(() => {
  app = temporaryFolder(afterAll);
  writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'app', type: 'module', private: true }));
  const pack = ['pack', '--ignore-scripts', '--silent', '--pack-destination', app];
  const tarball = execFileSync('npm', pack, { cwd: root, encoding: 'utf8' }).trim();
  run('npm', 'install', '--silent', '--no-audit', '--no-fund', `./${tarball}`);
  // The kernels are compiled already; npm has just written their sources, which must not look newer than they are.
  run('find', 'node_modules/sod/native', '-type', 'f', '-exec', 'touch', '--date=2000-01-01', '{}', '+');
  const kernels = join(app, 'node_modules/sod/native/build');
  cpSync(join(root, 'native/build'), kernels, { recursive: true, preserveTimestamps: true });
  run('bash', 'node_modules/sod/setup.sh');
}, 120_000);

test('the package is what users need, and no more', () => {
  const files = run('find', 'node_modules/sod', '-type', 'f', '-not', '-path', '*/native/build/*').trim().split('\n');
  const kinds = new Set(files.map(file => file.replace(/^node_modules\/sod\//, '').replace(/\/.*(\.\w+)$/, '/*$1')));
  expect([...kinds].sort()).toEqual([
    'LICENSE',
    'README.md',
    'dist/*.css',
    'dist/*.html',
    'dist/*.js',
    'dist/*.ts',
    'dist/*.txt',
    'native/*.cpp',
    'native/*.h',
    'native/Makefile',
    'package.json',
    'recipes/*.yaml',
    'setup.sh',
  ]);
});

test('its command runs', () => {
  expect(run('npx', 'sod', 'train', 'node_modules/sod/recipes/qwen3-0.6b/sod.yaml', '--dry-run')).toContain('updates');
});

test('a strict TypeScript program that uses the whole of it compiles and runs', () => {
  writeFileSync(
    join(app, 'main.ts'),
    `import { callTool, defineMethod, defineTool, LocalEngine, mathReward, parseRecipe, rollout, stepWeights, train } from 'sod';
     import type { Engine, Sampler, Scorer, TrainEvent, Trainer, Trajectory, World } from 'sod';
     import { z } from 'zod';

     const double = defineTool({
       name: 'double',
       description: 'Twice a number',
       parameters: z.object({ number: z.number() }),
       execute: ({ number }) => String(2 * number),
     });
     const { observation } = await callTool([double], { name: 'double', arguments: { number: 21 } });
     const engine: Engine = await LocalEngine.start();
     await engine.close();
     const recipe = parseRecipe({ method: 'sod', world: 'shop', model: 'student', teacher: 'teacher' });
     const last = (trajectory: Trajectory) => trajectory.steps.at(-1);
     const progress = (event: TrainEvent) => event.kind;
     export type Parts = [Sampler, Scorer, Trainer, World];
     const functions = [defineMethod, rollout, train, stepWeights, last, progress];
     console.log(JSON.stringify([observation, recipe.method, mathReward('\\\\boxed{4}', '4').score, functions.length]));
    `,
  );
  const options = ['--target', 'es2023', '--module', 'nodenext', '--strict', '--outDir', 'out', '--types', 'node'];
  for (const types of ['@types/node', 'undici-types']) {
    cpSync(join(root, 'node_modules', types), join(app, 'node_modules', types), { recursive: true });
  }
  run(process.execPath, join(root, 'node_modules/typescript/bin/tsc'), 'main.ts', ...options);
  expect(JSON.parse(run(process.execPath, 'out/main.js'))).toEqual(['42', 'sod', 1, 6]);
});
