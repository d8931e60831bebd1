import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { smallSodRun } from '../../bench/smallSodRun.ts';
import { Random } from '../../src/random.ts';
import { type RunningServer, serve } from '../../src/serve/server.ts';
import { merge } from '../../src/train/overrides.ts';
import { formatRecipe, parseRecipe, type Recipe } from '../../src/train/recipe.ts';
import { readMetrics, readTrajectories } from '../../src/train/runDirectory.ts';
import { train } from '../../src/train/train.ts';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { faultyProxy, sometimes } from '../http/faultyProxy.ts';
import { smallModels } from '../madeOnce.ts';

const folder = temporaryFolder(afterAll);
const weights = join(folder, 'shared');
let models: { student: string; teacher: string };
let server: RunningServer;

const start = (port = 0) =>
  serve({ checkpoint: models.student, port, maxContext: 4096, weightsFrom: weights, engine: { dtype: 'f32' } });

beforeAll(async () => {
  models = await smallModels();
  server = await start();
}, 180_000);
afterAll(() => server.close(0));

function sod(rollout: object = {}): Recipe {
  const training = { iterations: 5 };
  return parseRecipe(merge({ ...smallSodRun(models), engine: { dtype: 'f32' } }, { rollout, training }));
}

const finalOf = (checkpoint: string) => readFileSync(join(checkpoint, 'model.safetensors'));
const told = (run: string) => readMetrics(run).map(({ seconds: _, ...line }) => line);

test('a run whose policy samples on a server is the run that samples here: trajectories, metrics and weights, bit for bit', async () => {
  const [here, there] = [join(folder, 'here'), join(folder, 'there')];
  const local = await train(sod(), { runDir: here });
  const proxy = await faultyProxy(server.url);
  const recipe = sod({ server: { url: proxy.url, weights } });
  const file = join(folder, 'recipe.yaml');
  writeFileSync(file, formatRecipe(recipe));
  const killed = spawn(process.execPath, [cli, 'train', file, '--run', there], { stdio: 'ignore' });
  while ((readMetrics(there).at(-1)?.iteration ?? 0) < 2) {
    expect(killed.exitCode).toBe(null);
    await sleep(2);
  }
  killed.kill('SIGKILL');
  await once(killed, 'close');
  expect(readdirSync(weights)).toContainEqual(expect.stringMatching(/^policy-\d$/));

  // It comes back with the weights that it was started with.
  const port = Number(new URL(server.url).port);
  await server.close(0);
  server = await start(port);
  const fault = sometimes(Random.of('policy'), 0.2);
  proxy.next = () => {
    const next = fault();
    // An error of its own, where it is to load weights, would be taken for the end of the server.
    return next === 'failed' ? undefined : next;
  };
  const remote = await train(recipe, { runDir: there, resume: true });
  await proxy.close();
  expect(readdirSync(weights)).toEqual([]);
  expect(finalOf(remote.checkpoint).equals(finalOf(local.checkpoint))).toBe(true);
  expect(finalOf(local.checkpoint).equals(finalOf(models.student))).toBe(false);
  expect(told(there)).toEqual(told(here));
  expect(told(here)).toHaveLength(5);
  expect(readTrajectories(there)).toEqual(readTrajectories(here));
});
