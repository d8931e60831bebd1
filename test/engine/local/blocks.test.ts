import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { writeRandomGguf } from '../../../bench/randomGguf.ts';
import { LocalEngine, type LocalEngineOptions } from '../../../src/engine/local/engine.ts';
import { LocalModel, type ModelOptions } from '../../../src/engine/local/model.ts';
import { WeightsOpener } from '../../../src/engine/local/openWeights.ts';
import type { TensorTypeName } from '../../../src/gguf/tensorTypes.ts';
import { linearNames, parseConfig } from '../../../src/model/config.ts';
import { native } from '../../../src/tensor/cpu/native.ts';
import { whole as result } from '../../../src/tensor/pieces.ts';
import { randomTokens, temporaryFolder, vocabSize } from '../tinyModel.ts';

const shape = {
  hidden_size: 256,
  intermediate_size: 512,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 64,
  vocab_size: vocabSize,
  max_position_embeddings: 512,
};
const qwen = { ...shape, architectures: ['Qwen3ForCausalLM'], tie_word_embeddings: true };
const llama = { ...shape, architectures: ['LlamaForCausalLM'] };

/** As files of q4_K_M have it: some matrices more exact than others. */
const mixed = (name: string): TensorTypeName => (/v_proj|down_proj|embed/.test(name) ? 'Q6_K' : 'Q4_K');

const folder = temporaryFolder(afterAll);
const file = (name: string) => join(folder, `${name}.gguf`);
beforeAll(async () => {
  await writeRandomGguf(file('qwen'), parseConfig(qwen), mixed);
  await writeRandomGguf(file('llama'), parseConfig(llama), name => (/mlp/.test(name) ? 'Q8_0' : 'Q4_0'));
});

const options = { dtype: 'f32' as const, activationBytes: 2 ** 24, cacheBytes: 2 ** 20, maxBatch: 4 };
const lora = { rank: 4, alpha: 8, targets: [...linearNames], seed: 0 };

function open(checkpoint: string, how: Partial<ModelOptions>): LocalModel {
  const all = { ...options, trainable: false, ...how };
  const model = new LocalModel(checkpoint, new WeightsOpener().open(checkpoint, all), all);
  onTestFinished(() => model.free());
  return model;
}

const sequences = [60, 41].map(length => ({
  tokens: randomTokens(length, length),
  mask: Uint8Array.from({ length }, (_, t) => (t > 0 ? 1 : 0)),
}));
const data = sequences.map(({ tokens, mask }) => ({ tokens, weights: Float32Array.from(mask) }));

describe.each(['qwen', 'llama'])('%s from a quantised file', name => {
  it.each(['f32', 'bf16'] as const)('%s: scores from its blocks as it does whole, bit for bit', dtype => {
    const inBlocks = open(file(name), { dtype, scoresOnly: true });
    const whole = open(file(name), { dtype, scoresOnly: true, quantized: 'whole' });
    expect([inBlocks.plan.inBlocks, whole.plan.inBlocks]).toEqual([true, false]);
    const scores = result(inBlocks.score(sequences));
    expect(scores).toEqual(result(whole.score(sequences)));
    expect(scores[0].logprobs.slice(1).every(logprob => Number.isFinite(logprob) && logprob < 0)).toBe(true);
  });

  it('adapters are trained over its blocks as they are over whole weights, bit for bit', () => {
    const [inBlocks, whole] = (['blocks', 'whole'] as const).map(quantized => {
      const model = open(file(name), { trainable: true, lora, quantized, recompute: 'on' });
      const losses = [1, 2, 3].map(() => {
        const { loss } = result(model.forwardBackward(data, { kind: 'cross_entropy' }));
        model.optimStep({ learningRate: 1e-2, betas: [0.9, 0.95], epsilon: 1e-8, weightDecay: 0, clipNorm: 1 });
        return loss;
      });
      return { losses, scores: result(model.score(sequences)), inBlocks: model.plan.inBlocks };
    });
    expect([inBlocks.inBlocks, whole.inBlocks]).toEqual([true, false]);
    expect(inBlocks.losses).toEqual(whole.losses);
    expect(inBlocks.scores).toEqual(whole.scores);
    expect(inBlocks.losses[2]).toBeLessThan(inBlocks.losses[0]);
  });
});

it('in blocks, a model takes what its file does', () => {
  const before = native().memory().liveBytes;
  const { plan } = open(file('qwen'), { scoresOnly: true });
  const taken = native().memory().liveBytes - before - 512 * 64 * 4;
  expect(taken).toBeGreaterThanOrEqual(plan.need.weights);
  expect(taken).toBeLessThan(1.1 * plan.need.weights);
  expect(plan.need.weights).toBeLessThan(open(file('qwen'), {}).plan.need.weights / 4);
});

it('the engine says so, and samples from whole weights', async () => {
  const notices: string[] = [];
  const engine = await LocalEngine.start({
    ...options,
    onNotice: notice => notices.push(notice),
  } as LocalEngineOptions);
  onTestFinished(() => engine.close());
  await engine.scorer(file('qwen'));
  const sampler = await engine.sampler(file('qwen'));
  expect((await sampler.generate([1, 2, 3], { maxTokens: 2 })).tokens).toHaveLength(2);
  expect(notices[0]).toMatch(/weights stay in the blocks of their file and are expanded layer by layer, up to/);
  expect(notices[1]).not.toMatch(/blocks/);
});
