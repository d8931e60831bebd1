import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { smallSodRun } from '../../bench/smallSodRun.ts';
import { Random } from '../../src/random.ts';
import { type RunningServer, serve } from '../../src/serve/server.ts';
import { initializeCheckpoint } from '../../src/train/initialize.ts';
import type { PhaseProgress } from '../../src/train/learner.ts';
import { planTraining } from '../../src/train/plan.ts';
import { formatPlan } from '../../src/train/planText.ts';
import { loadRecipe, type OnPolicyRecipe, parseRecipe, type Recipe } from '../../src/train/recipe.ts';
import { newestTrajectory, readMetrics } from '../../src/train/runDirectory.ts';
import { train } from '../../src/train/train.ts';
import type { TrainEvent } from '../../src/train/trainEvent.ts';
import { openWorld } from '../../src/worlds/open.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { faultyProxy, sometimes } from '../http/faultyProxy.ts';
import { smallModels } from '../madeOnce.ts';

const key = 'a-key-that-nobody-may-read';
const folder = temporaryFolder(afterAll);
const servers: RunningServer[] = [];
let models: { student: string; teacher: string };

beforeAll(async () => {
  vi.stubEnv('SOD_API_KEY', key);
  models = await smallModels();
}, 180_000);
afterAll(async () => {
  await Promise.all(servers.map(server => server.close(0)));
  vi.unstubAllEnvs();
});

async function served(checkpoint: string): Promise<string> {
  const server = await serve({ checkpoint, port: 0, apiKey: key, maxContext: 4096 });
  servers.push(server);
  return server.url;
}

function sod(teacher: string, alternatives = 0): Recipe {
  const run = smallSodRun({ ...models, teacher });
  return parseRecipe({
    ...run,
    training: { ...run.training, iterations: 3 },
    save: { every: 10, alternatives },
  });
}

test('a run with a served teacher ends with the weights of one whose teacher is in a folder, bit for bit', async () => {
  const runs = { local: join(folder, 'local'), remote: join(folder, 'remote') };
  const local = await train(sod(models.teacher), { runDir: runs.local });
  const server = await served(models.teacher);
  const connections = () => process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length;
  const before = connections();
  const remote = await train(sod(`${server}/v1`, 2), { runDir: runs.remote });
  await vi.waitFor(() => expect(connections()).toBe(before));
  const weights = (checkpoint: string) => readFileSync(join(checkpoint, 'model.safetensors'));
  expect(weights(remote.checkpoint).equals(weights(local.checkpoint))).toBe(true);
  expect(weights(local.checkpoint).equals(weights(models.student))).toBe(false);

  const metrics = (runDir: string) => readMetrics(runDir).map(({ seconds: _, ...line }) => line);
  expect(metrics(runs.remote)).toEqual(metrics(runs.local));
  expect(metrics(runs.remote)[0].teacherEntropy).toBeGreaterThan(0);

  const [kept, plain] = [runs.remote, runs.local].map(run => newestTrajectory(run, () => true)!.steps[0]);
  const { alternatives, ...others } = kept;
  expect(others).toEqual(plain);
  expect(alternatives).toHaveLength(kept.tokens.length);
  for (const [t, [[, first], [, second]]] of alternatives!.entries()) {
    expect(first).toBeGreaterThanOrEqual(second);
    expect(kept.logprobs[t] + kept.gaps![t]).toBeLessThan(first + 0.001);
  }

  const files = readdirSync(runs.remote, { recursive: true }).map(file => join(runs.remote, String(file)));
  for (const file of files.filter(file => statSync(file).isFile()))
    expect(readFileSync(file).includes(key)).toBe(false);
});

test('what breaks on the way to a teacher changes nothing, and the person is told', async () => {
  const proxy = await faultyProxy(await served(models.teacher));
  proxy.next = sometimes(Random.of('teacher'), 0.4);
  const notices: string[] = [];
  const onProgress = (event: TrainEvent) => event.kind === 'notice' && notices.push(event.notice);
  const shaken = await train(sod(proxy.url), { runDir: join(folder, 'shaken'), onProgress });
  await proxy.close();
  expect([...proxy.made.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(3);
  expect(notices).toContainEqual(expect.stringMatching(/^http:.*: trying again until it answers$/));
  const quiet = await train(sod(models.teacher), { runDir: join(folder, 'quiet') });
  const weights = (checkpoint: string) => readFileSync(join(checkpoint, 'model.safetensors'));
  expect(weights(shaken.checkpoint).equals(weights(quiet.checkpoint))).toBe(true);
});

test('a served teacher that lacks tokens of its student is refused', async () => {
  const { world, close } = await openWorld('careful-shop');
  const other = join(folder, 'other');
  const shape = { hiddenSize: 32, intermediateSize: 64, layers: 1, heads: 2, kvHeads: 1, headDim: 16 };
  await initializeCheckpoint(other, { ...shape, tieEmbeddings: true }, world, 1);
  await close();
  const url = await served(other);
  await expect(train(sod(url), { runDir: join(folder, 'refused') })).rejects.toThrow(
    /^http:\S+: answered 400 \(prompt: there is no token \d+; the last is \d+\), asked about the tokens of \S+$/,
  );
});

test('a teacher that refuses the first trajectories ends the rollouts of the others', async () => {
  const server = await serve({ checkpoint: models.teacher, port: 0, apiKey: key, maxContext: 64 });
  servers.push(server);
  const recipe = sod(server.url) as OnPolicyRecipe;
  const oneByOne = { ...recipe, rollout: { ...recipe.rollout, concurrency: 1 } };
  const sampled: PhaseProgress[] = [];
  const onProgress = (event: TrainEvent) => event.kind === 'phase' && event.phase === 'rollout' && sampled.push(event);
  await expect(train(oneByOne, { runDir: join(folder, 'short'), onProgress })).rejects.toThrow(
    /^http:\S+: answered 400 .*64/,
  );
  const { done, total } = sampled.at(-1)!;
  expect(done).toBeLessThan(total);
});

test('an address stays what it is wherever a recipe lies, is in its plan, and holds no secrets', async () => {
  const set = (teacher: string) => loadRecipe('recipes/qwen3-0.6b/sod.yaml', { teacher });
  const recipe = await set('http://gpu-7:8000/v1#teacher');
  expect(recipe).toMatchObject({ teacher: 'http://gpu-7:8000/v1#teacher' });
  const plan = await planTraining(recipe);
  expect(formatPlan(plan)).toContain('teacher at http://gpu-7:8000/v1#teacher');
  expect(plan.flops.map(({ what }) => what)).toEqual(['rollouts', 'training']);
  await expect(set('https://me:secret@gpu-7')).rejects.toThrow(
    /^the address of gpu-7 must hold no key, password or query, as runs keep it: put the key into SOD_API_KEY$/,
  );
});
