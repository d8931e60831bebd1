import { spawnSync } from 'node:child_process';
import { afterAll, expect, test } from 'vitest';
import type { Figure } from '../../bench/engine/figure.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

test('the bench of the engine measures a GPU, and what is computed on it', () => {
  const args = ['--device', 'gpu', '--shape', 'tiny', '--only', 'training,prefill', '--pairs', '1', '--json'];
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'bench/engine/main.ts', ...args, '--models', temporaryFolder(afterAll)],
    { encoding: 'utf8' },
  );
  const figures: Figure[] = JSON.parse(stdout || stderr);
  expect(figures.map(({ figure }) => figure).filter(figure => !figure.includes('PyTorch'))).toEqual([
    'multiply-adds in registers',
    'product',
    'memory, copied',
    'training tiny',
    'training tiny, fraction of what product and memory allow',
    'prefill tiny',
    'prefill tiny, fraction of what product and memory allow',
  ]);
  for (const { value } of figures) expect(value).toBeGreaterThan(0);
});
