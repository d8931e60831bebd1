import { cpSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { smallSodRun } from '../../bench/smallSodRun.ts';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { type RunningServer, serve } from '../../src/serve/server.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { readRollouts } from '../../src/train/keptRollouts.ts';
import type { Phase } from '../../src/train/learner.ts';
import { merge } from '../../src/train/overrides.ts';
import { type OnPolicyRecipe, parseRecipe, type Recipe, type RecipeInput } from '../../src/train/recipe.ts';
import { type Metrics, readMetrics } from '../../src/train/runDirectory.ts';
import { sampleGroups } from '../../src/train/sampleGroups.ts';
import type { Worker, WorkerTime } from '../../src/train/timeline.ts';
import { type TrainOptions, train } from '../../src/train/train.ts';
import type { TrainEvent } from '../../src/train/trainEvent.ts';
import { openWorld } from '../../src/worlds/open.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { smallModels } from '../madeOnce.ts';

const folder = temporaryFolder(afterAll);
const weights = join(folder, 'shared');
let models: { student: string; teacher: string };
let server: RunningServer;
let engine: LocalEngine;
const { world, close } = await openWorld('shop');

beforeAll(async () => {
  models = await smallModels();
  engine = await LocalEngine.start({ dtype: 'f32' });
  const options = { port: 0, maxContext: 4096, weightsFrom: weights, engine: { dtype: 'f32' } } as const;
  server = await serve({ checkpoint: models.student, ...options });
}, 180_000);
afterAll(async () => {
  await Promise.all([server.close(0), engine.close()]);
  await close();
});

function sod(rollout: object = {}): Recipe {
  const changes = {
    engine: { dtype: 'f32' },
    rollout: { ahead: 1, ...rollout },
    training: { iterations: 4 },
    save: { every: 1, keep: 4 },
    evaluate: { every: 2, tasks: 2, samples: 1 },
  };
  return parseRecipe(merge({ ...smallSodRun(models) }, changes));
}

/** In an engine and a world that all runs share. */
const trained = (recipe: Recipe, options: TrainOptions) => train(recipe, { engine, world, ...options });
const neverFires = new AbortController().signal;
const final = (run: string) => readFileSync(join(run, 'final/model.safetensors'));
const told = (run: string) => readMetrics(run).map(({ seconds: _, ...line }) => line);

/** What the same run is that nobody disturbs. */
let undisturbed: string;
beforeAll(async () => {
  undisturbed = join(folder, 'undisturbed');
  await trained(sod(), { runDir: undisturbed });
});

function expectUndisturbed(run: string): void {
  expect(final(run).equals(final(undisturbed))).toBe(true);
  expect(told(run)).toEqual(told(undisturbed));
  expect(readdirSync(join(run, 'trajectories'))).toEqual(readdirSync(join(undisturbed, 'trajectories')));
}

/** Trains until a phase of an iteration is under way, and stops there; with the folder as a kill would have left it. */
async function stopped(
  recipe: Recipe,
  runDir: string,
  iteration: number,
  phase: Phase,
  options: Partial<TrainOptions> = {},
) {
  const stop = new AbortController();
  const killed = `${runDir}-killed-in-${iteration}`;
  const onProgress = (event: TrainEvent) => {
    if (stop.signal.aborted || event.kind !== 'phase' || event.phase !== phase || event.iteration !== iteration) return;
    cpSync(runDir, killed, { recursive: true, filter: path => basename(path) !== 'lock' });
    stop.abort();
  };
  const end = await trained(recipe, { runDir, signal: stop.signal, onProgress, ...options });
  expect(end.finished).toBe(false);
  return killed;
}

test('rollouts in a checkpoint are those that the weights before its last updates sample', async () => {
  const recipe = sod() as OnPolicyRecipe;
  const [before, checkpoint] = ['000002', '000004'].map(name => join(undisturbed, 'checkpoints', name));
  const context = { sampler: await engine.sampler(before), chat: loadChat(before), world, signal: neverFires };
  const tasks = [8, 9, 10, 11].map(index => world.task('train', index));
  const kept = readRollouts(checkpoint, 2);
  const groups = await sampleGroups(recipe, tasks, 2, context);
  expect(kept.groups).toEqual(kept.places.map(place => groups[place]));
  const stale = told(undisturbed).map(line => (line.ahead as { staleTokens: number } | undefined)?.staleTokens);
  expect(stale).toEqual([undefined, 0, 1, 1, 1]);
});

test('stopped and killed at different moments, it goes on as if nobody had disturbed it, also without its last checkpoint', async () => {
  const run = join(folder, 'stopped');
  await stopped(sod(), run, 1, 'rollout');
  await stopped(sod(), run, 2, 'teacher', { resume: true });
  const killed = await stopped(sod(), run, 3, 'update', { resume: true });
  await trained(sod(), { runDir: run, resume: true });
  expectUndisturbed(run);

  const [newest] = readdirSync(join(killed, 'checkpoints')).sort().reverse();
  truncateSync(join(killed, 'checkpoints', newest, 'rollouts.jsonl'), 1000);
  const notices: string[] = [];
  const onProgress = (event: TrainEvent) => event.kind === 'notice' && notices.push(event.notice);
  await trained(sod(), { runDir: killed, resume: true, onProgress });
  expect(notices).toContainEqual(
    expect.stringMatching(/^going back to iteration \d, for .*rollouts\.jsonl is missing or damaged/),
  );
  expectUndisturbed(killed);
});

test('a run without a teacher stops while it samples, and goes on', async () => {
  const run = join(folder, 'alone');
  const { sod: _, teacher: __, ...recipe } = sod() as OnPolicyRecipe & { sod: object };
  const grpo = parseRecipe({ ...recipe, method: 'grpo' } as RecipeInput);
  for (const iteration of [0, 1]) await stopped(grpo, run, iteration, 'rollout', { resume: iteration > 0 });
  expect(await trained(grpo, { runDir: run, resume: true })).toMatchObject({ finished: true });
});

test('a served policy samples ahead beside the updates, by the weights before them: it is the same run, also when it is stopped', async () => {
  const recipe = sod({ server: { url: server.url, weights } });
  const run = join(folder, 'served');
  const killed = await stopped(recipe, run, 2, 'update');
  for (const runDir of [run, killed]) {
    await trained(recipe, { runDir, resume: true });
    expectUndisturbed(runDir);
  }
  expect(readdirSync(weights)).toEqual([]);
});

const engines = ({ seconds }: Metrics) => (seconds as { engines: Record<Worker, WorkerTime> }).engines;

test('the metrics tell who worked and who waited: groups are scored while others are sampled', async () => {
  const run = join(folder, 'one-by-one');
  const recipe = sod({ ahead: 0, concurrency: 1 });
  await trained({ ...recipe, training: { ...recipe.training, iterations: 1 } } as Recipe, { runDir: run });
  const { policy, teacher, trainer } = engines(readMetrics(run).at(-1)!);
  for (const { busy, waiting, spans } of [policy, teacher, trainer]) {
    expect(busy).toBeGreaterThan(0);
    expect(busy + waiting).toBeCloseTo(policy.busy + policy.waiting, 2);
    expect(spans.every(([from, to]) => 0 <= from && from <= to)).toBe(true);
  }
  expect(teacher.spans[0][0]).toBeLessThan(policy.spans.at(-1)![1]);
  expect(trainer.spans[0][0]).toBeGreaterThanOrEqual(teacher.spans.at(-1)![1]);
});
