import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { serveTinker } from '../../../src/serve/tinker/server.ts';
import { parseRecipe } from '../../../src/train/recipe.ts';
import { readMetrics, readTrajectories } from '../../../src/train/runDirectory.ts';
import { train } from '../../../src/train/train.ts';
import { smallModels } from '../../madeOnce.ts';
import { shortAnswersRun } from '../../train/shortAnswers.ts';

const folder = mkdtempSync(join(tmpdir(), 'sod-tinker-'));
afterAll(() => rmSync(folder, { recursive: true }));
const models = await smallModels();
const input = {
  ...shortAnswersRun(folder, models),
  training: { iterations: 8, promptsPerIteration: 4, promptsPerUpdate: 2 },
  evaluate: { every: 4, tasks: 4, samples: 2 },
};

const weightsOf = (checkpoint: string) => readFileSync(join(checkpoint, 'model.safetensors'));

test('a run through the API is the run on the local engine: trajectories, advantages, losses, weights and evaluations, bit for bit', async () => {
  const server = await serveTinker({
    checkpoints: [models.student, models.teacher],
    stateFolder: join(folder, 'state'),
    port: 0,
  });
  try {
    const here = join(folder, 'here');
    const there = join(folder, 'there');
    const local = await train(parseRecipe(input), { runDir: here });
    const recipe = parseRecipe({ ...input, engine: { kind: 'tinker', url: server.url } });
    const remote = await train(recipe, { runDir: there });

    expect(weightsOf(remote.checkpoint).equals(weightsOf(local.checkpoint))).toBe(true);
    expect(readTrajectories(there)).toEqual(readTrajectories(here));
    const told = (run: string) => readMetrics(run).map(({ seconds, ...metrics }) => metrics);
    expect(told(there)).toEqual(told(here));
    expect(told(here)).toHaveLength(9);
    expect(remote.best).toMatchObject({ evaluation: local.best!.evaluation });
    expect(weightsOf(join(there, 'best')).equals(weightsOf(join(here, 'best')))).toBe(true);

    const left = readdirSync(join(folder, 'state'), { recursive: true, encoding: 'utf8' });
    const checkpoints = left.map(path => /weights\/(update-\d+)$/.exec(path)?.[0]).filter(Boolean);
    expect(checkpoints.sort()).toEqual(['weights/update-12', 'weights/update-8']);
  } finally {
    await server.close();
  }
});

test('so is one that trains adapters, which come home both merged and as they are', async () => {
  const server = await serveTinker({
    checkpoints: [models.student, models.teacher],
    stateFolder: join(folder, 'adapters-state'),
    port: 0,
  });
  try {
    const short = { ...input, lora: { rank: 4 }, training: { ...input.training, iterations: 2 }, evaluate: undefined };
    const [here, there] = ['adapters-here', 'adapters-there'].map(name => join(folder, name));
    const local = await train(parseRecipe(short), { runDir: here });
    const recipe = parseRecipe({ ...short, engine: { kind: 'tinker', url: server.url } });
    const remote = await train(recipe, { runDir: there });
    expect(readTrajectories(there)).toEqual(readTrajectories(here));
    const factorsOf = (...place: string[]) => readFileSync(join(...place, 'adapter_model.safetensors'));
    expect(factorsOf(remote.checkpoint, 'adapter').equals(factorsOf(local.checkpoint))).toBe(true);
    expect(weightsOf(remote.checkpoint).equals(weightsOf(models.student))).toBe(false);
  } finally {
    await server.close();
  }
});
