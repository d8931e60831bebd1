import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { smallSodRun, writeSmallModels } from '../../bench/smallSodRun.ts';
import { type RunningServer, serve } from '../../src/serve/server.ts';
import { parseRecipe, type Recipe } from '../../src/train/recipe.ts';
import { readMetrics, readTrajectories } from '../../src/train/runDirectory.ts';
import { train } from '../../src/train/train.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const folder = temporaryFolder(afterAll);
const weights = join(folder, 'shared');
let models: { student: string; teacher: string };
let server: RunningServer;

const start = (port = 0) =>
  serve({ checkpoint: models.student, port, maxContext: 4096, weightsFrom: weights, engine: { dtype: 'f32' } });

beforeAll(async () => {
  models = await writeSmallModels(folder);
  server = await start();
}, 180_000);
afterAll(() => server.close(0));

function sod(where: object = {}): Recipe {
  const run = smallSodRun(models);
  return parseRecipe({ ...run, engine: { dtype: 'f32' }, rollout: { ...run.rollout, ...where } });
}

const finalOf = (checkpoint: string) => readFileSync(join(checkpoint, 'model.safetensors'));
const told = (run: string) => readMetrics(run).map(({ seconds: _, ...line }) => line);

test('a run whose policy samples on a server is the run that samples here: trajectories, metrics and weights, bit for bit', async () => {
  const [here, there] = [join(folder, 'here'), join(folder, 'there')];
  const local = await train(sod(), { runDir: here });
  const recipe = sod({ server: { url: server.url, weights } });
  const stop = new AbortController();
  const stopped = await train(recipe, {
    runDir: there,
    signal: stop.signal,
    onProgress: event => event.kind === 'iteration' && event.metrics.iteration === 3 && stop.abort(),
  });
  expect(stopped.finished).toBe(false);
  expect(readdirSync(weights)).toEqual([]);

  // It comes back with the weights that it was started with.
  const port = Number(new URL(server.url).port);
  await server.close(0);
  server = await start(port);
  const remote = await train(recipe, { runDir: there, resume: true });
  expect(finalOf(remote.checkpoint).equals(finalOf(local.checkpoint))).toBe(true);
  expect(finalOf(local.checkpoint).equals(finalOf(models.student))).toBe(false);
  expect(told(there)).toEqual(told(here));
  expect(told(here)).toHaveLength(8);
  expect(readTrajectories(there)).toEqual(readTrajectories(here));
  expect(existsSync(join(weights, 'policy-1'))).toBe(false);
});
