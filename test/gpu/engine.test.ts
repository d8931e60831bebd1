import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { readCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { LocalEngine, type LocalEngineOptions } from '../../src/engine/local/engine.ts';
import type { AdamParams, Datum, Engine, LossSpec, Trainer } from '../../src/engine/types.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { train } from '../../src/train/train.ts';
import { randomTokens, temporaryFolder, writeTinyModel } from '../engine/tinyModel.ts';
import { smallModels } from '../madeOnce.ts';
import { shortAnswersRun } from '../train/shortAnswers.ts';

let folder: string;
let model: string;
beforeAll(async () => {
  folder = temporaryFolder(afterAll);
  model = await writeTinyModel(`${folder}/model`, 1);
});

async function start(device: 'cpu' | 'gpu', options: LocalEngineOptions = {}): Promise<LocalEngine> {
  const engine = await LocalEngine.start({ device, dtype: 'f32', cacheBytes: 1 << 20, ...options });
  onTestFinished(() => engine.close());
  return engine;
}

const devices = ['cpu', 'gpu'] as const;
const adam: AdamParams = { learningRate: 1e-3, betas: [0.9, 0.95], epsilon: 1e-8, weightDecay: 0.01, clipNorm: 1 };
const crossEntropy: LossSpec = { kind: 'cross_entropy' };

function batch(update: number): Datum[] {
  return [0, 1].map(i => {
    const tokens = [...randomTokens(20, 'prompt', update), ...randomTokens(20, 'answer', update, i)];
    return { tokens, weights: Float32Array.from(tokens, (_, t) => (t < 20 ? 0 : 0.05)) };
  });
}

async function updates(trainer: Trainer, from: number, to: number): Promise<void> {
  for (let update = from; update < to; update++) {
    await trainer.forwardBackward(batch(update), crossEntropy);
    await trainer.optimStep(adam);
  }
}

/** The largest difference between two models' parameters, as a part of the largest parameter of its tensor. */
function difference(a: string, b: string): number {
  const [left, right] = [a, b].map(dir => readCheckpoint(dir));
  const others = new Map(right.tensors.map(tensor => [tensor.name, tensor]));
  const worst = left.tensors.map(tensor => {
    const [mine, theirs] = [tensor.read(), others.get(tensor.name)!.read()];
    const largest = mine.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return mine.reduce((most, value, i) => Math.max(most, Math.abs(value - theirs[i])), 0) / largest;
  });
  left.close();
  right.close();
  return Math.max(...worst);
}

test('SFT on a GPU has the CPU’s weights, and goes on from either’s checkpoint on the other', async () => {
  const trained = await Promise.all(
    devices.map(async device => {
      const trainer = await (await start(device)).trainer(model);
      await updates(trainer, 0, 4);
      await trainer.save(`${folder}/${device}-4`, { optimizer: true });
      await updates(trainer, 4, 8);
      await trainer.save(`${folder}/${device}-8`, { optimizer: true });
      return trainer;
    }),
  );
  expect(difference(`${folder}/cpu-8`, `${folder}/gpu-8`)).toBeLessThan(1e-3);
  for (const [i, from] of ['gpu', 'cpu'].entries()) {
    await trained[i].load(`${folder}/${from}-4`, { optimizer: true });
    await updates(trained[i], 4, 8);
    await trained[i].save(`${folder}/resumed-${i}`, { optimizer: true });
    expect(difference(`${folder}/cpu-8`, `${folder}/resumed-${i}`)).toBeLessThan(1e-3);
  }
});

test('adapters train as on the CPU', async () => {
  const lora = { rank: 3, alpha: 6, targets: ['q_proj', 'v_proj', 'down_proj'], seed: 1 } as const;
  const scores: Float32Array[] = [];
  for (const device of devices) {
    const engine = await start(device);
    const trainer = await engine.trainer(model, { ...lora, targets: [...lora.targets] });
    await updates(trainer, 0, 4);
    const [{ tokens }] = batch(9);
    scores.push((await trainer.score([{ tokens, mask: new Uint8Array(tokens.length).fill(1) }]))[0].logprobs);
  }
  expect(Math.max(...scores[0].map((logprob, t) => Math.abs(logprob - scores[1][t])))).toBeLessThan(1e-3);
});

test('what is sampled on a GPU is what the CPU samples', async () => {
  const prompts = [1, 2, 70].map(length => randomTokens(length, 'prompt', length));
  const [expected, actual] = await Promise.all(
    devices.map(async device => {
      const sampler = await (await start(device)).sampler(model);
      return Promise.all(
        prompts.map((prompt, seed) => sampler.generate(prompt, { maxTokens: 40, seed, topP: 0.9, alternatives: 2 })),
      );
    }),
  );
  actual.forEach(({ tokens, logprobs }, i) => {
    expect(tokens).toEqual(expected[i].tokens);
    logprobs.forEach((logprob, t) => {
      expect(Math.abs(logprob - expected[i].logprobs[t])).toBeLessThan(1e-4);
    });
  });
});

test('20 updates of SOD from recorded trajectories end with the CPU’s weights', async () => {
  const models = await smallModels();
  const asked: { data: Datum[]; loss: LossSpec; adam: AdamParams }[] = [];
  const engine = await start('cpu');
  const recipe = parseRecipe({
    ...shortAnswersRun(folder, models),
    training: { iterations: 10, promptsPerIteration: 4, promptsPerUpdate: 2 },
    evaluate: undefined,
  });
  await train(recipe, { runDir: `${folder}/sod`, engine: recording(engine, asked) });
  expect(asked).toHaveLength(20);

  const trainer = await (await start('gpu')).trainer(models.student);
  for (const { data, loss, adam } of asked) {
    await trainer.forwardBackward(data, loss);
    await trainer.optimStep(adam);
  }
  await trainer.save(`${folder}/replayed`);
  expect(difference(`${folder}/sod/final`, `${folder}/replayed`)).toBeLessThan(1e-3);
});

/** The same engine; what its trainer is asked for is kept. */
function recording(engine: LocalEngine, asked: { data: Datum[]; loss: LossSpec; adam: AdamParams }[]): Engine {
  return {
    scorer: checkpoint => engine.scorer(checkpoint),
    sampler: checkpoint => engine.sampler(checkpoint),
    close: () => engine.close(),
    async trainer(checkpoint, lora) {
      const trainer = await engine.trainer(checkpoint, lora);
      let last: { data: Datum[]; loss: LossSpec };
      return {
        score: sequences => trainer.score(sequences),
        sampler: () => trainer.sampler(),
        save: (dir, options) => trainer.save(dir, options),
        load: (dir, options) => trainer.load(dir, options),
        forwardBackward(data, loss) {
          last = { data, loss };
          return trainer.forwardBackward(data, loss);
        },
        optimStep(adam) {
          asked.push({ ...last, adam });
          return trainer.optimStep(adam);
        },
      };
    },
  };
}
