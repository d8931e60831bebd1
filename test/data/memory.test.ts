import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('a large Parquet file is read in little memory', () => {
  const { stdout, stderr } = spawnSync('npx', ['tsx', 'bench/parquetMemory.ts', '0.15'], { encoding: 'utf8' });
  expect(stderr).not.toMatch(/Error/);
  const [, megabytes] = /^most memory (\d+) MiB/m.exec(stdout) ?? [];
  expect(Number(megabytes)).toBeLessThan(300);
});
