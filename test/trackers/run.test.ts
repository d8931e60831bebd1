import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { valuesOf } from '../../src/trackers/values.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { readMetrics, readTrajectories } from '../../src/train/runDirectory.ts';
import { train } from '../../src/train/train.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { smallModels } from '../madeOnce.ts';
import { shortAnswersRun } from '../train/shortAnswers.ts';
import { MlflowServer, type Run } from './mlflow/server.ts';
import { readEvents } from './tensorboard/readEvents.ts';

const folder = temporaryFolder(afterAll);
const input = {
  ...shortAnswersRun(folder, await smallModels()),
  training: { iterations: 4, promptsPerIteration: 2, promptsPerUpdate: 2 },
  evaluate: { every: 2, tasks: 2, samples: 2 },
  save: { every: 2 },
};
const server = new MlflowServer();
let engine: LocalEngine;
beforeAll(async () => {
  engine = await LocalEngine.start({ threads: 1 });
});
afterAll(async () => {
  await engine.close();
  await server.close();
});

const runOf = (name: string) => join(folder, name);

/** @param stopAfter so many iterations */
async function trained(name: string, track: object | undefined, { resume = false, stopAfter = 0 } = {}) {
  const notices: string[] = [];
  const controller = new AbortController();
  const result = await train(parseRecipe({ ...input, track }), {
    runDir: runOf(name),
    engine,
    resume,
    signal: controller.signal,
    onProgress: event => {
      if (event.kind === 'notice') notices.push(event.notice);
      if (event.kind === 'iteration' && event.metrics.iteration === stopAfter) controller.abort();
    },
  });
  return { ...result, notices };
}

const weightsOf = (name: string) => readFileSync(join(runOf(name), 'final/model.safetensors'));

/** What a run's metrics hold: each number with its name and iteration. */
function pointsOf(name: string): string[] {
  const lines = readMetrics(runOf(name));
  return lines.flatMap(line => Array.from(valuesOf(line), ([metric]) => `${metric} ${line.iteration}`)).sort();
}

const loggedIn = ({ points }: Run) => points.map(({ key, step }) => `${key} ${step}`).sort();
const writtenBy = (name: string) => readEvents(join(runOf(name), 'tensorboard'));

test('a run is told to all trackers once, however it is stopped, set back and resumed, and learns the same', async () => {
  const url = await server.listen();
  await trained('untold', undefined);
  const track = ['tensorboard', { kind: 'mlflow', url }];
  await trained('told', track, { stopAfter: 3 });
  // It was told three iterations, and goes on from the second.
  rmSync(join(runOf('told'), 'checkpoints/000003'), { recursive: true });
  const { finished, notices } = await trained('told', track, { resume: true });
  expect({ finished, notices: notices.filter(notice => /MLflow|TensorBoard/.test(notice)) }).toEqual({
    finished: true,
    notices: [],
  });
  expect(weightsOf('told').equals(weightsOf('untold'))).toBe(true);

  const [run] = server.runs.values();
  expect(server.runs.size).toBe(1);
  expect(run).toMatchObject({ name: 'told', status: 'FINISHED' });
  expect(loggedIn(run)).toEqual(pointsOf('told'));

  const events = writtenBy('told');
  const values = events.flatMap(({ step, values }) => values.map(value => ({ step, ...value })));
  const scalars = values.filter(({ scalar }) => scalar !== undefined);
  expect(scalars.map(({ tag, step }) => `${tag} ${step}`).sort()).toEqual(pointsOf('told'));
  const losses = scalars.filter(({ tag }) => tag === 'loss').map(({ scalar }) => scalar);
  expect(losses).toEqual(
    readMetrics(runOf('told')).flatMap(({ loss }) => (loss === undefined ? [] : Math.fround(loss as number))),
  );
});

test('TensorBoard has d and w of each step as histograms, and a trajectory as text', async () => {
  const events = writtenBy('told');
  const values = events.flatMap(({ step, values }) => values.map(value => ({ step, ...value })));
  const steps = readTrajectories(runOf('told')).flatMap(({ steps }) => steps);
  for (const tag of ['divergence/step 1', 'weight/step 1']) {
    const histograms = values.filter(value => value.tag === tag);
    expect(histograms.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    const counted = histograms.reduce((sum, { histogram }) => sum + histogram!.counts.reduce((a, b) => a + b), 0);
    expect(counted).toBe(4 * 2 * 4);
  }
  expect(values.find(({ tag }) => tag === 'weight/step 1')!.histogram).toMatchObject({
    min: 1,
    max: 1,
    num: 8,
    sum: 8,
  });
  const largest = Math.max(...steps.map(({ divergence }) => divergence!));
  const divergences = values.filter(({ tag }) => tag.startsWith('divergence/step'));
  expect(Math.max(...divergences.map(({ histogram }) => histogram!.max))).toBe(largest);

  const texts = values.filter(({ tag }) => tag === 'trajectory');
  expect(texts.map(({ step, plugin }) => ({ step, plugin }))).toEqual(
    [1, 2, 3, 4].map(step => ({ step, plugin: 'text' })),
  );
  expect(texts[0].text).toMatch(/^ {4}task train\/\d+, reward .*\n\nprompt:\n\n {4}<\|im_start\|>/);
});

test('a tracker that is not there changes nothing, and is told the rest when it is', async () => {
  const port = Number(new URL(await restarted()).port);
  await server.close();
  const track = [{ kind: 'mlflow', url: `http://127.0.0.1:${port}` }, 'tensorboard'];
  const { finished, notices } = await trained('unreachable', track);
  expect(finished).toBe(true);
  expect(notices.filter(notice => notice.startsWith('MLflow'))).toEqual([
    expect.stringMatching(/it cannot be reached \(ECONNREFUSED\); what it misses is told when it can be$/),
    expect.stringMatching(
      /it cannot be reached \(ECONNREFUSED\); sod train --resume .*unreachable tells it what it misses$/,
    ),
  ]);
  expect(weightsOf('unreachable').equals(weightsOf('untold'))).toBe(true);

  await server.listen(port);
  const again = await trained('unreachable', track, { resume: true });
  expect(again).toMatchObject({ alreadyFinished: true, notices: [] });
  const run = [...server.runs.values()].at(-1)!;
  expect(run).toMatchObject({ name: 'unreachable', status: 'FINISHED' });
  expect(loggedIn(run)).toEqual(pointsOf('unreachable'));
  expect(writtenBy('unreachable').filter(({ version }) => version === 'brain.Event:2')).toHaveLength(1);
});

async function restarted(): Promise<string> {
  await server.close();
  return server.listen();
}

test('a start that learned nothing leaves nothing of its trackers', async () => {
  expect(existsSync(join(runOf('untold'), 'tensorboard'))).toBe(false);
  const world = join(folder, 'nothing.mjs');
  await expect(
    train(parseRecipe({ ...input, world, track: ['tensorboard'] }), { runDir: runOf('nothing'), engine }),
  ).rejects.toThrow('no world');
  expect(existsSync(runOf('nothing'))).toBe(false);
});
