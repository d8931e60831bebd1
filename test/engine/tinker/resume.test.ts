import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { smallSodRun } from '../../../bench/smallSodRun.ts';
import { TinkerEngine } from '../../../src/engine/tinker/engine.ts';
import { serveTinker } from '../../../src/serve/tinker/server.ts';
import type { Phase } from '../../../src/train/learner.ts';
import { parseRecipe } from '../../../src/train/recipe.ts';
import type { Metrics } from '../../../src/train/runDirectory.ts';
import { type TrainOptions, train } from '../../../src/train/train.ts';
import type { TrainEvent } from '../../../src/train/trainEvent.ts';
import { smallModels } from '../../madeOnce.ts';

const folder = mkdtempSync(join(tmpdir(), 'sod-tinker-'));
afterAll(() => rmSync(folder, { recursive: true }));
const models = await smallModels();
const input = {
  ...smallSodRun(models),
  rollout: { groupSize: 2, maxResponseTokens: 12, maxTurns: 2 },
  training: { iterations: 6, promptsPerIteration: 2, promptsPerUpdate: 1 },
};

const start = (port: number) =>
  serveTinker({ checkpoints: [models.student, models.teacher], stateFolder: join(folder, 'state'), port });
const weightsOf = (checkpoint: string) => readFileSync(join(checkpoint, 'model.safetensors'));

/** A server that can be restarted at its address, and a run on it. */
async function begin(name: string, restartAt: (event: TrainEvent) => boolean) {
  let server = await start(0);
  const { url } = server;
  const recipe = parseRecipe({ ...input, engine: { kind: 'tinker', url } });
  const engine = await TinkerEngine.start({ url, firstPauseMs: 2 });
  let restarts = 0;
  let restarted = Promise.resolve();
  const restart = async () => {
    restarts++;
    await server.close();
    server = await start(Number(new URL(url).port));
  };
  const notices: string[] = [];
  const options: TrainOptions = {
    runDir: join(folder, name),
    engine,
    onProgress: event => {
      if (event.kind === 'notice') notices.push(event.notice);
      if (restartAt(event)) restarted = restarted.then(restart);
    },
  };
  onTestFinished(async () => {
    await engine.close();
    await restarted;
    await server.close();
  });
  return { recipe, options, notices, restarts: () => restarts, restarted: () => restarted };
}

/** Says yes at the first event of each of these kinds, in their order. */
function onceAt(...places: { iteration: number; phase?: Phase }[]) {
  return (event: TrainEvent) => {
    const [next] = places;
    if (!next || (event.kind !== 'phase' && event.kind !== 'iteration')) return false;
    const isThere =
      event.kind === 'phase'
        ? event.phase === next.phase && event.iteration === next.iteration
        : next.phase === undefined && event.metrics.iteration === next.iteration;
    if (isThere) places.shift();
    return isThere;
  };
}

test('a run whose server is restarted goes on by itself, in whatever it was interrupted', async () => {
  const places: Parameters<typeof onceAt> = [
    { iteration: 1, phase: 'update' }, // before the first checkpoint
    { iteration: 3, phase: 'teacher' },
    { iteration: 5 },
  ];
  const expected = places.length;
  const { recipe, options, notices, restarts } = await begin('recovered', onceAt(...places));
  const undisturbed = await train(parseRecipe(input), { runDir: join(folder, 'undisturbed') });
  const recovered = await train(recipe, options);
  expect(restarts()).toBe(expected);
  expect(weightsOf(recovered.checkpoint).equals(weightsOf(undisturbed.checkpoint))).toBe(true);
  const told = (metrics: Metrics[]) => metrics.map(({ seconds, ...numbers }) => numbers);
  expect(told(recovered.metrics)).toEqual(told(undisturbed.metrics));
  expect(notices).toContainEqual(
    expect.stringMatching(/There is no .*: the server was restarted.*its last checkpoint/),
  );
});

test('a server that loses the model again and again ends the run with what is needed to go on', async () => {
  const { recipe, options, restarts, restarted } = await begin(
    'broken',
    event =>
      event.kind === 'phase' && event.phase === 'rollout' && event.iteration === 4 && event.done === 1 && isFailing,
  );
  let isFailing = true;
  await expect(train(recipe, options)).rejects.toThrow(/There is no .*: the server was restarted.*--resume/);
  expect(restarts()).toBe(4);
  expect(readdirSync(join(options.runDir, 'checkpoints')).sort()).toEqual(['000004', '000008']);
  const files = ['agent.json', 'progress.json', 'tinker.json'];
  expect(readdirSync(join(options.runDir, 'checkpoints/000008')).sort()).toEqual(files);
  isFailing = false;
  await restarted();
  const { finished, checkpoint } = await train(recipe, { runDir: options.runDir, resume: true });
  expect(finished).toBe(true);
  expect(weightsOf(checkpoint).equals(weightsOf(join(folder, 'undisturbed/final')))).toBe(true);
});

test('a server that is away for longer than patience lasts ends the run with what is needed to go on', async () => {
  const server = await start(0);
  const engine = await TinkerEngine.start({ url: server.url, firstPauseMs: 2, patienceMs: 200 });
  await server.close();
  await expect(engine.trainer(models.student)).rejects.toThrow(/cannot be reached.*ECONN.*--resume/);
  await engine.close();
});

test('says which models a server has, and what it cannot do', async () => {
  const server = await start(0);
  const engine = await TinkerEngine.start({ url: server.url });
  await expect(engine.trainer(join(folder, 'other'))).rejects.toThrow(
    `${server.url} has no model other, it has student, teacher: start it with`,
  );
  const sampler = await engine.sampler(models.student);
  await expect(sampler.generate([99_999], { maxTokens: 1 })).rejects.toThrow(
    /The prompt holds token 99999; this model has tokens 0 to \d+/,
  );
  await expect(sampler.generate([1], { maxTokens: 1, alternatives: 2 })).rejects.toThrow(/local engine/);
  await engine.close();
  const recipe = parseRecipe({
    ...smallSodRun(models),
    engine: { kind: 'tinker', url: server.url, dialect: 'skyrl-jax' },
    lora: { alpha: 16, targets: ['q_proj'] },
  });
  await expect(train(recipe, { runDir: join(folder, 'refused') })).rejects.toThrow(
    /no dual clip.*no clipping.*no alpha but 32.*adapters only of all of q_proj, k_proj/,
  );
  await server.close();
});
