import { join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { writeRandomAdapter } from '../../../bench/randomAdapter.ts';
import { LocalEngine, type LocalSampler } from '../../../src/engine/local/engine.ts';
import { WeightsOpener } from '../../../src/engine/local/openWeights.ts';
import type { SamplingOptions } from '../../../src/engine/types.ts';
import { native } from '../../../src/tensor/cpu/native.ts';
import { randomTokens, temporaryFolder, writeTinyModel } from '../tinyModel.ts';

const folder = temporaryFolder(afterAll);
const base = await writeTinyModel(join(folder, 'base'));
const strong = { deviation: 0.3, seed: 1 };
const adapters = [
  await writeRandomAdapter(join(folder, 'all'), base, { ...strong, rank: 4 }),
  await writeRandomAdapter(join(folder, 'some'), base, {
    ...strong,
    rank: 2,
    targets: ['v_proj', 'o_proj', 'up_proj'],
  }),
];

// Prompts that begin alike in each model, one of them longer than a page, and one that is ranked.
const beginning = randomTokens(70, 'beginning');
const tasks: { prompt: number[]; options: SamplingOptions }[] = [
  { prompt: beginning.slice(0, 3), options: { maxTokens: 12, temperature: 0 } },
  { prompt: [...beginning, 1], options: { maxTokens: 9, seed: 4, alternatives: 2 } },
  { prompt: [...beginning, 2], options: { maxTokens: 15, seed: 5 } },
  { prompt: beginning.slice(0, 20), options: { maxTokens: 4, seed: 6, rankPrompt: 2 } },
];

async function samplers(dtype: 'f32' | 'bf16'): Promise<LocalSampler[]> {
  const engine = await LocalEngine.start({ dtype, threads: 1, cacheBytes: 2 ** 20 });
  onTestFinished(() => engine.close());
  const first = await engine.sampler(base, { shared: true });
  return [first, ...(await Promise.all(adapters.map(adapter => engine.sampler(adapter))))];
}

describe.each(['f32', 'bf16'] as const)('adapters over one base in %s', dtype => {
  it('are sampled in one batch, each as alone, to the last bit', async () => {
    const together = await samplers(dtype);
    const answers = tasks.flatMap(({ prompt, options }) => together.map(model => model.generate(prompt, options)));
    const { running, waiting } = await together[0].status();
    expect(running + waiting).toBe(answers.length);
    const alone = await samplers(dtype);
    const expected = [];
    for (const { prompt, options } of tasks) {
      for (const model of alone) expected.push(await model.generate(prompt, options));
    }
    expect(await Promise.all(answers)).toEqual(expected);
    expect(new Set(expected.map(({ tokens }) => tokens.join())).size).toBe(answers.length);
  });

  it('score what they sample by the weights that they sample by', async () => {
    for (const model of await samplers(dtype)) {
      const said = await model.generate(beginning, { maxTokens: 20, seed: 2 });
      const tokens = [...beginning, ...said.tokens];
      const [{ logprobs }] = await model.score([{ tokens, mask: new Uint8Array(tokens.length).fill(1) }]);
      const differences = said.logprobs.map((logprob, t) => Math.abs(logprob - logprobs[beginning.length + t]));
      expect(Math.max(...differences)).toBeLessThan(dtype === 'f32' ? 1e-3 : 0.2);
    }
  });
});

it('an adapter takes the memory of its factors, and all of it is given back', () => {
  const opener = new WeightsOpener();
  const options = { dtype: 'f32' as const, trainable: false, activationBytes: 2 ** 20 };
  const live = () => native().memory().liveBytes;
  const before = live();
  const shared = opener.open(base, { ...options, shared: true });
  const taken = live();
  const adapter = opener.open(adapters[0], options);
  expect(adapter.plan.need.weights).toBeGreaterThan(0);
  expect(adapter.plan.need.weights).toBeLessThan(shared.plan.need.weights / 2);
  expect(live() - taken).toBeGreaterThanOrEqual(adapter.plan.need.weights);
  expect(live() - taken).toBeLessThan(taken - before);
  shared.free();
  adapter.free();
  expect(live()).toBe(before);
});
