import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { writeRandomGguf } from '../../bench/randomGguf.ts';
import { LocalEngine, type LocalEngineOptions } from '../../src/engine/local/engine.ts';
import { keepMeasured } from '../../src/engine/local/measurements.ts';
import type { AdamParams, Datum, Engine, LoraOptions, LossSpec, Trainer } from '../../src/engine/types.ts';
import { parseConfig } from '../../src/model/config.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { train } from '../../src/train/train.ts';
import { randomTokens, temporaryFolder, vocabSize, writeTinyModel } from '../engine/tinyModel.ts';
import { smallModels } from '../madeOnce.ts';
import { shortAnswersRun } from '../train/shortAnswers.ts';
import { difference } from './difference.ts';

let folder: string;
let model: string;
beforeAll(async () => {
  folder = temporaryFolder(afterAll);
  model = await writeTinyModel(`${folder}/model`, 1);
  const shape = {
    hidden_size: 256,
    intermediate_size: 256,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    head_dim: 64,
  };
  const rest = { num_key_value_heads: 2, vocab_size: vocabSize, max_position_embeddings: 128 };
  const config = parseConfig({ ...shape, ...rest, architectures: ['LlamaForCausalLM'] });
  await writeRandomGguf(`${folder}/quantised.gguf`, config, name => (/mlp/.test(name) ? 'Q8_0' : 'Q4_K'));
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

test.each(['model', 'quantised.gguf'])('adapters over %s train as on the CPU', async base => {
  const lora: LoraOptions = { rank: 3, alpha: 6, targets: ['q_proj', 'v_proj', 'down_proj'], seed: 1 };
  const trained = async (device: 'cpu' | 'gpu', dtype: 'f32' | 'bf16') => {
    const trainer = await (await start(device, { dtype })).trainer(`${folder}/${base}`, lora);
    await updates(trainer, 0, 4);
    const [{ tokens }] = batch(9);
    return (await trainer.score([{ tokens, mask: new Uint8Array(tokens.length).fill(1) }]))[0].logprobs;
  };
  const expected = await trained('cpu', 'f32');
  const differs = (scores: Float32Array) => Math.max(...scores.map((score, t) => Math.abs(score - expected[t])));
  expect(differs(await trained('gpu', 'f32'))).toBeLessThan(1e-3);
  const rounded = differs(await trained('gpu', 'bf16'));
  expect(rounded).toBeGreaterThan(1e-4);
  expect(rounded).toBeLessThan(0.1);
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

test('auto computes on the GPU what that is clearly faster for', async () => {
  vi.stubEnv('XDG_CACHE_HOME', folder);
  onTestFinished(() => void vi.unstubAllEnvs());
  const speed = (times: number) => ({
    flops: times * 1e11,
    bytes: times * 1e10,
    kernelSeconds: 1e-6 / times,
    answerSeconds: 1e-6 / times,
  });
  for (const times of [1, 10]) {
    keepMeasured({ cpu: speed(1), gpu: { name: 'measured', ...speed(times) } });
    const notices: string[] = [];
    const engine = await LocalEngine.start({ onNotice: notice => notices.push(notice) });
    onTestFinished(() => engine.close());
    await engine.scorer(model);
    expect(notices.join().includes('kernels for')).toBe(times === 1);
  }
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
