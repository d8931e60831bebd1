import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Random } from '../../src/random.ts';
import { initializeCheckpoint } from '../../src/train/initialize.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { readTrajectories } from '../../src/train/runDirectory.ts';
import { type TrainResult, train } from '../../src/train/train.ts';
import { openWorld } from '../../src/worlds/open.ts';
import { temporaryFolder, writeTinyModel } from '../engine/tinyModel.ts';

const shape = { hiddenSize: 32, intermediateSize: 64, layers: 1, heads: 2, kvHeads: 1, headDim: 16 };

test('learns from the tasks that the recipe names, and leaves out those before', async () => {
  const folder = temporaryFolder();
  const model = join(folder, 'model');
  const { world, close } = await openWorld('shop');
  await initializeCheckpoint(model, { ...shape, tieEmbeddings: true }, world, 1);
  await close();

  const run = join(folder, 'run');
  const recipe = parseRecipe({
    method: 'grpo',
    model,
    rollout: { groupSize: 2, maxResponseTokens: 16, maxTurns: 1 },
    training: { iterations: 2, promptsPerIteration: 3, promptsPerUpdate: 3, tasks: 3, firstTask: 1000 },
    optimizer: { learningRate: 1e-3 },
    save: { trajectoriesEvery: 1 },
  });
  await train(recipe, { runDir: run });
  const expected = [1000, 1001, 1002].map(index => world.task('train', index).id);
  const shown = readTrajectories(run).map(({ task }) => task);
  expect(shown.length).toBeGreaterThan(0);
  for (const task of shown) expect(expected).toContain(task);
});

test('a start that fails leaves nothing, and the corrected one begins', async () => {
  const folder = temporaryFolder();
  const model = await writeTinyModel(join(folder, 'model'));
  const recipe = parseRecipe({ method: 'sft', model, training: { demonstrations: 2, epochs: 1, batchSize: 2 } });
  const runDir = join(folder, 'run');
  await expect(train(recipe, { runDir })).rejects.toThrow(/tokenizer\.json/);
  expect(readdirSync(folder)).toEqual(['model']);

  const { model: _, ...corrected } = { ...recipe, init: { ...shape, tieEmbeddings: true } };
  await expect(train(corrected, { runDir })).resolves.toMatchObject({ finished: true });
});

test('a run in a world that is open already is the same run, and leaves it open', async () => {
  const folder = temporaryFolder();
  const recipe = parseRecipe({
    method: 'sft',
    init: { ...shape },
    training: { demonstrations: 4, epochs: 1, batchSize: 2 },
  });
  const { world, close } = await openWorld(recipe.world);
  try {
    const alone = await train(recipe, { runDir: join(folder, 'alone') });
    const inside = await train(recipe, { runDir: join(folder, 'inside'), world });
    const weights = ({ checkpoint }: TrainResult) => readFileSync(join(checkpoint, 'model.safetensors'));
    expect(weights(inside).equals(weights(alone))).toBe(true);
    expect(await world.demonstrate!(world.task('train', 0), Random.of(0))).not.toEqual([]);
  } finally {
    await close();
  }
});
