import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { Random } from '../../src/random.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { readTrajectories } from '../../src/train/runDirectory.ts';
import { type TrainResult, train } from '../../src/train/train.ts';
import { openWorld } from '../../src/worlds/open.ts';
import { promptLength } from '../../src/worlds/promptLength.ts';
import { temporaryFolder, writeTinyModel } from '../engine/tinyModel.ts';
import { smallModels } from '../madeOnce.ts';

const shape = { hiddenSize: 32, intermediateSize: 64, layers: 1, heads: 2, kvHeads: 1, headDim: 16 };
const { student: trainable } = await smallModels();
const { world, close } = await openWorld('shop');
afterAll(close);

test('learns from the tasks that the recipe names, and leaves out those before and those with long prompts', async () => {
  const tasks = [1000, 1001, 1002, 1003].map(index => world.task('train', index));
  const lengths = tasks.map(task => promptLength(world, task, loadChat(trainable)));
  const maxPromptTokens = Math.max(...lengths) - 1;
  const fitting = tasks.filter((_, i) => lengths[i] <= maxPromptTokens).map(({ id }) => id);

  const run = join(temporaryFolder(), 'run');
  const recipe = parseRecipe({
    method: 'grpo',
    model: trainable,
    rollout: { groupSize: 2, maxPromptTokens, maxResponseTokens: 16, maxTurns: 1 },
    training: { iterations: 2, promptsPerIteration: 3, promptsPerUpdate: 3, tasks: 4, firstTask: 1000 },
    optimizer: { learningRate: 1e-3 },
  });
  const notices: string[] = [];
  await train(recipe, {
    runDir: run,
    world,
    onProgress: event => event.kind === 'notice' && notices.push(event.notice),
  });
  const shown = readTrajectories(run).map(({ task }) => task);
  expect(shown.length).toBeGreaterThan(0);
  for (const task of shown) expect(fitting).toContain(task);
  expect(notices).toContainEqual(
    expect.stringContaining(`${4 - fitting.length} of 4 tasks have prompts of more than ${maxPromptTokens} tokens`),
  );
});

test('a start that fails leaves nothing, and the corrected one begins', async () => {
  const folder = temporaryFolder();
  const model = await writeTinyModel(join(folder, 'without-tokenizer'));
  const recipe = parseRecipe({ method: 'sft', model, training: { demonstrations: 2, epochs: 1, batchSize: 2 } });
  const runDir = join(folder, 'run');
  await expect(train(recipe, { runDir, world })).rejects.toThrow(/tokenizer\.json/);
  expect(readdirSync(folder)).toEqual(['without-tokenizer']);

  await expect(train({ ...recipe, model: trainable }, { runDir, world })).resolves.toMatchObject({ finished: true });
});

test('a run in a world that is open already is the same run, and leaves it open', async () => {
  const folder = temporaryFolder();
  const recipe = parseRecipe({
    method: 'sft',
    init: { ...shape },
    training: { demonstrations: 4, epochs: 1, batchSize: 2 },
  });
  const alone = await train(recipe, { runDir: join(folder, 'alone') });
  const inside = await train(recipe, { runDir: join(folder, 'inside'), world });
  const weights = ({ checkpoint }: TrainResult) => readFileSync(join(checkpoint, 'model.safetensors'));
  expect(weights(inside).equals(weights(alone))).toBe(true);
  expect(await world.demonstrate!(world.task('train', 0), Random.of(0))).not.toEqual([]);
});
