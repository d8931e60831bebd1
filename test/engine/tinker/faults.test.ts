import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { smallSodRun } from '../../../bench/smallSodRun.ts';
import { TinkerEngine } from '../../../src/engine/tinker/engine.ts';
import { serveTinker } from '../../../src/serve/tinker/server.ts';
import { parseRecipe } from '../../../src/train/recipe.ts';
import { train } from '../../../src/train/train.ts';
import { smallModels } from '../../madeOnce.ts';
import { startFaultProxy } from './faultProxy.ts';

const folder = mkdtempSync(join(tmpdir(), 'sod-tinker-'));
afterAll(() => rmSync(folder, { recursive: true }));
const models = await smallModels();
const recipe = parseRecipe({
  ...smallSodRun(models),
  rollout: { groupSize: 2, maxResponseTokens: 12, maxTurns: 2 },
  training: { iterations: 50, promptsPerIteration: 4, promptsPerUpdate: 1 },
  save: { every: 10, trajectories: 0 },
});

test('200 updates over a network that fails in every way end with the weights of an undisturbed run', async () => {
  const server = await serveTinker({
    checkpoints: [models.student, models.teacher],
    stateFolder: join(folder, 'state'),
    port: 0,
  });
  const proxy = await startFaultProxy(server.url, { seed: 1, every: 5 });
  const engine = await TinkerEngine.start({ url: proxy.url, firstPauseMs: 2 });
  try {
    const undisturbed = await train(recipe, { runDir: join(folder, 'undisturbed') });
    const disturbed = await train(recipe, { runDir: join(folder, 'disturbed'), engine });
    expect(disturbed.metrics.at(-1)!.update).toBe(200);
    expect(disturbed.metrics.map(({ loss }) => loss)).toEqual(undisturbed.metrics.map(({ loss }) => loss));
    const [expected, weights] = [undisturbed, disturbed].map(({ checkpoint }) =>
      readFileSync(join(checkpoint, 'model.safetensors')),
    );
    expect(weights.equals(expected)).toBe(true);
    for (const [fault, count] of Object.entries(proxy.met)) expect(count, fault).toBeGreaterThan(10);
  } finally {
    await engine.close();
    await proxy.close();
    await server.close();
  }
}, 400_000);
