import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { RunDirectory, readMetrics } from '../../src/train/runDirectory.ts';

const recipe = parseRecipe({ method: 'sft', model: '/nowhere', save: { keep: 2 } });
const newFolder = () => join(mkdtempSync(join(tmpdir(), 'sod-run-')), 'run');

async function save(dir: string) {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, 'weights'), 'w');
}

test('a resumed run goes on from its last complete checkpoint and forgets what came after', async () => {
  const path = newFolder();
  const run = RunDirectory.create(path, recipe);
  run.begin();
  for (let iteration = 1; iteration <= 5; iteration++) {
    run.log({ iteration, update: 2 * iteration });
    if (iteration <= 3) await run.checkpoint({ iteration, update: 2 * iteration }, save);
  }
  appendFileSync(join(path, 'metrics.jsonl'), '{"iteration":6,"upd');
  // A save that a kill cut short.
  await expect(
    run.checkpoint({ iteration: 5, update: 10 }, async dir => {
      await save(dir);
      throw new Error('killed');
    }),
  ).rejects.toThrow('killed');
  run.close();

  const resumed = RunDirectory.resume(path);
  expect(resumed.recipe).toEqual(recipe);
  expect(resumed.progress()).toEqual({ iteration: 3, update: 6 });
  expect(readMetrics(path).map(({ iteration }) => iteration)).toEqual([1, 2, 3]);
  expect(readdirSync(join(path, 'checkpoints')).filter(name => !name.startsWith('.'))).toEqual(['000004', '000006']);
  resumed.close();
});

test('a folder takes one run, and a run one process', () => {
  const path = newFolder();
  const run = RunDirectory.create(path, recipe);
  run.begin();
  expect(() => RunDirectory.create(path, recipe)).toThrow(UserError);
  writeFileSync(join(path, 'lock'), String(process.ppid));
  expect(() => RunDirectory.resume(path)).toThrow(`in use by process ${process.ppid}`);
  // The process is gone.
  writeFileSync(join(path, 'lock'), '999999999');
  RunDirectory.resume(path).close();
  expect(existsSync(join(path, 'lock'))).toBe(false);
  run.close();
});

test('a folder without a run is refused by name', () => {
  expect(() => RunDirectory.resume('/nowhere')).toThrow('/nowhere is not the folder of a run: it has no recipe.yaml');
});
