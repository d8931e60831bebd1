import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Generator, type GeneratorOptions } from '../../../src/engine/local/generator.ts';
import { score } from '../../../src/engine/local/scorer.ts';
import type { Completion, SamplingOptions } from '../../../src/engine/types.ts';
import { UserError } from '../../../src/errors.ts';
import { decode } from '../../../src/model/decoder.ts';
import type { Weights } from '../../../src/model/weights.ts';
import { Random } from '../../../src/random.ts';
import { attention, lmHeadLogits } from '../../../src/tensor/ops.ts';
import { whole } from '../../../src/tensor/pieces.ts';
import { scope, Tensor } from '../../../src/tensor/tensor.ts';
import { loadModel, maxPositions, randomTokens, temporaryFolder, vocabSize, writeTinyModel } from '../tinyModel.ts';

let dir: string;
let weights: Weights;
let rotary: Tensor;
beforeAll(async () => {
  dir = await writeTinyModel(`${temporaryFolder(afterAll)}/model`);
  ({ weights, rotary } = loadModel(dir, { dtype: 'f32', trainable: false }));
});
afterAll(() => {
  weights.free();
  rotary.free();
});

interface Task {
  prompt: number[];
  options: SamplingOptions;
}

const follow: GeneratorOptions['follow'] = () => {
  throw new Error('no grammar is asked for here');
};
const roomy: GeneratorOptions = { maxBatch: 64, prefillRows: 512, cacheTokens: 4096, follow };

/** Runs a generator until `body`'s completions are there. */
async function generating<T>(
  options: Partial<GeneratorOptions>,
  body: (generator: Generator) => Promise<T>,
): Promise<T> {
  const generator = new Generator(weights, rotary, { ...roomy, ...options });
  try {
    return await body(generator);
  } finally {
    generator.free();
  }
}

async function finish<T>(generator: Generator, completions: Promise<T>[]): Promise<T[]> {
  while (generator.busy) generator.step();
  return Promise.all(completions);
}

function alone({ prompt, options }: Task): Promise<Completion> {
  return generating({}, async g => (await finish(g, [g.generate(0, prompt, options)]))[0]);
}

/** Probabilities of the next token by the full forward pass. */
function nextToken(tokens: number[]): number[] {
  const logits = scope(() => {
    const segments = Tensor.from(Int32Array.of(0, tokens.length, -1), [1, 3]);
    const positions = Int32Array.from(tokens, (_, i) => i);
    const attend = (_: number, qk: Tensor, qkv: Tensor) => attention(undefined, qk, qkv, segments, weights.config);
    const hidden = decode(weights, rotary, Int32Array.from(tokens), positions, attend, {
      rows: Int32Array.of(tokens.length - 1),
    });
    return [...lmHeadLogits(hidden, weights.head).floats()];
  });
  const best = Math.max(...logits);
  const total = logits.reduce((sum, l) => sum + Math.exp(l - best), 0);
  return logits.map(l => Math.exp(l - best) / total);
}

describe('ranking a prompt', () => {
  it('says of each given token what scoring says, in pieces, beside others, and before what is sampled', async () => {
    const prompts = [70, 33, 1].map((length, i) => randomTokens(length, `ranked${i}`));
    const ranked = (tokens: number[], maxTokens: number, rankPrompt: number) => ({
      prompt: tokens,
      options: { maxTokens, rankPrompt, temperature: 0 },
    });
    const tasks: Task[] = [
      ranked(prompts[0], 0, 3),
      ranked(prompts[1], 5, 0),
      ranked(prompts[2], 0, 1),
      { prompt: prompts[0], options: { maxTokens: 20, temperature: 0 } },
    ];
    const [first, second, third, plain] = await generating({ prefillRows: 16 }, g =>
      finish(
        g,
        tasks.map(({ prompt, options }, id) => g.generate(id, prompt, options)),
      ),
    );
    for (const [i, { prompt }] of [first, second].entries()) {
      const tokens = prompts[i];
      const mask = Uint8Array.from(tokens, (_, t) => (t > 0 ? 1 : 0));
      const [{ logprobs }] = whole(score(weights, rotary, [{ tokens, mask }], 512));
      expect(prompt!.map(({ token }) => token)).toEqual(tokens.slice(1));
      prompt!.forEach(({ logprob, rank, alternatives }, t) => {
        expect(logprob).toBeCloseTo(logprobs[t + 1], 4);
        expect(alternatives).toHaveLength(i === 0 ? 3 : 0);
        const place = alternatives.findIndex(({ token }) => token === tokens[t + 1]);
        if (place >= 0) expect(place).toBe(rank - 1);
      });
    }
    expect(first).toMatchObject({ tokens: [], stopReason: 'length' });
    expect(third).toMatchObject({ tokens: [], prompt: [] });
    const { prompt: _, ...sampled } = second;
    expect(sampled).toEqual(await alone({ prompt: prompts[1], options: { maxTokens: 5, temperature: 0 } }));
    expect(plain).toEqual(await alone(tasks[3]));
  });

  it('begins anew where its room was needed, and leaves nothing when it is aborted', async () => {
    const tokens = randomTokens(100, 'anew');
    const other: Task = { prompt: randomTokens(90, 'other'), options: { maxTokens: 60, seed: 4 } };
    const rankings = await generating({ cacheTokens: 192, prefillRows: 24 }, async g => {
      const completions = [
        g.generate(0, other.prompt, other.options),
        g.generate(1, tokens, { maxTokens: 30, rankPrompt: 2, seed: 1 }),
        g.generate(2, tokens, { maxTokens: 30, rankPrompt: 2, seed: 1 }),
      ];
      completions[2].catch(() => {});
      for (let step = 0; step < 3; step++) g.step();
      g.abort(2);
      await expect(completions[2]).rejects.toThrow('aborted');
      const [beside, ranked] = await finish(g, completions.slice(0, 2));
      expect(beside).toEqual(await alone(other));
      expect(g.status()).toMatchObject({ running: 0, waiting: 0, heldTokens: 0 });
      return ranked;
    });
    expect(rankings).toEqual(await alone({ prompt: tokens, options: { maxTokens: 30, rankPrompt: 2, seed: 1 } }));
  });
});

describe('decoding with a cache', () => {
  it('takes greedily what the full forward pass finds likeliest', async () => {
    const prompt = randomTokens(45, 'greedy');
    const { tokens } = await alone({ prompt, options: { maxTokens: 60, temperature: 0 } });
    for (const [i, token] of tokens.entries()) {
      const probabilities = nextToken([...prompt, ...tokens.slice(0, i)]);
      expect(probabilities[token]).toBeGreaterThan(Math.max(...probabilities) * (1 - 1e-4));
    }
  });

  it('gives the log-probabilities that scoring gives afterwards', async () => {
    for (const temperature of [0, 0.7, 1, 1.5]) {
      const prompt = randomTokens(33, 'scored', temperature);
      const { tokens, logprobs } = await alone({ prompt, options: { maxTokens: 70, temperature, seed: 5 } });
      const sequence = [...prompt, ...tokens];
      const mask = Uint8Array.from(sequence, (_, t) => (t < prompt.length ? 0 : 1));
      const [scores] = whole(score(weights, rotary, [{ tokens: sequence, mask }], 4096));
      logprobs.forEach((logprob, i) => {
        expect(Math.abs(logprob - scores.logprobs[prompt.length + i])).toBeLessThan(1e-4);
      });
    }
  });

  it('draws tokens as often as their probability says, seed by seed', async () => {
    const prompt = randomTokens(40, 'often');
    const draws = 3000;
    const probabilities = nextToken(prompt);
    const counts = new Array<number>(vocabSize).fill(0);
    await generating({}, async g => {
      const seeds = Array.from({ length: draws }, (_, seed) => g.generate(seed, prompt, { maxTokens: 1, seed }));
      for (const { tokens } of await finish(g, seeds)) counts[tokens[0]]++;
    });
    // Pearson's statistic over the tokens that are expected at least five times: mean df, variance 2·df.
    const frequent = probabilities.map((p, token) => ({ p, token })).filter(({ p }) => p * draws >= 5);
    const statistic = frequent.reduce((sum, { p, token }) => sum + (counts[token] - p * draws) ** 2 / (p * draws), 0);
    expect(frequent.length).toBeGreaterThan(10);
    expect(statistic).toBeLessThan(frequent.length + 5 * Math.sqrt(2 * frequent.length));
  });

  it('keeps to top-k and top-p', async () => {
    const prompt = randomTokens(20, 'cut');
    for (const cut of [{ topK: 3 }, { topP: 0.5 }, { topK: 4, topP: 0.6, temperature: 2 }]) {
      const { tokens } = await alone({ prompt, options: { maxTokens: 30, seed: 3, ...cut } });
      for (const [i, token] of tokens.entries()) {
        const tempered = nextToken([...prompt, ...tokens.slice(0, i)]).map(p => p ** (1 / (cut.temperature ?? 1)));
        const total = tempered.reduce((a, b) => a + b, 0);
        const likelier = tempered.filter(p => p > tempered[token] * (1 + 1e-4));
        expect(likelier.length).toBeLessThan(cut.topK ?? vocabSize);
        expect(likelier.reduce((a, b) => a + b, 0) / total).toBeLessThan(cut.topP ?? 1);
      }
    }
  });

  it('does in bf16 what scoring in bf16 does, but for rounding', async () => {
    const half = loadModel(dir, { dtype: 'bf16', trainable: false });
    const generator = new Generator(half.weights, half.rotary, roomy);
    const prompt = randomTokens(40, 'bf16');
    const [{ tokens, logprobs }] = await finish(generator, [generator.generate(0, prompt, { maxTokens: 50 })]);
    const sequence = [...prompt, ...tokens];
    const [scores] = whole(
      score(half.weights, half.rotary, [{ tokens: sequence, mask: new Uint8Array(90).fill(1) }], 4096),
    );
    const differences = logprobs.map((logprob, i) => Math.abs(logprob - scores.logprobs[prompt.length + i]));
    expect(differences.reduce((a, b) => a + b, 0) / differences.length).toBeLessThan(0.05);
    for (const owned of [generator, half.weights, half.rotary]) owned.free();
  });
});

describe('a batch', () => {
  /** Prompts of one family, so that beginnings are shared, of very different lengths. */
  const tasks: Task[] = Array.from({ length: 14 }, (_, i) => {
    const random = Random.of('task', i);
    const prompt = [...randomTokens(90, 'family').slice(0, random.below(91)), ...randomTokens(1 + random.below(60), i)];
    const temperature = random.pick([0, 0.8, 1]);
    return {
      prompt,
      options: { maxTokens: 1 + random.below(30), seed: i, temperature, topP: random.pick([1, 0.9]), stop: [7] },
    };
  });
  let expected: Completion[];
  beforeAll(async () => {
    expected = await Promise.all(tasks.map(alone));
  });

  const setting = fc.record({
    maxBatch: fc.integer({ min: 1, max: 14 }),
    prefillRows: fc.constantFrom(3, 40, 512),
    // The longest sequence needs 180 tokens: the smallest cache holds it and nothing else.
    cacheTokens: fc.constantFrom(192, 320, 1024),
    order: fc.shuffledSubarray(Array.from(tasks.keys()), { minLength: tasks.length }),
    stepsBetween: fc.array(fc.nat({ max: 6 }), { minLength: tasks.length, maxLength: tasks.length }),
  });

  it('gives every sequence, bit for bit, what it gets alone: in any order, with any cache and any chunks', async () => {
    await fc.assert(
      fc.asyncProperty(setting, ({ order, stepsBetween, ...options }) =>
        generating(options, async g => {
          const completions = new Array<Promise<Completion>>(tasks.length);
          order.forEach((task, i) => {
            completions[task] = g.generate(task, tasks[task].prompt, tasks[task].options);
            for (let step = 0; step < stepsBetween[i]; step++) g.step();
          });
          expect(await finish(g, completions)).toEqual(expected);
        }),
      ),
      { numRuns: 12 },
    );
  });

  it('goes on undisturbed when some of it is aborted, running or waiting', async () => {
    const byLength = [...tasks.keys()].sort((a, b) => expected[b].tokens.length - expected[a].tokens.length);
    const [running, waiting, ...others] = byLength;
    await generating({ cacheTokens: 320, maxBatch: 5 }, async g => {
      const run = (i: number) => g.generate(i, tasks[i].prompt, tasks[i].options);
      const first = run(running);
      const completions = others.map(run);
      const last = run(waiting);
      for (let step = 0; step < 3; step++) g.step();
      for (const id of [running, waiting, 1234]) g.abort(id);
      for (const aborted of [first, last]) await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
      expect(await finish(g, completions)).toEqual(others.map(i => expected[i]));
    });
  });

  it('goes on with the new weights when they change, from where it is', async () => {
    await generating({ maxBatch: 5 }, async g => {
      const completions = tasks.map(({ prompt, options }, i) => g.generate(i, prompt, options));
      for (let step = 0; step < 5; step++) g.step();
      const before = g.computedRows;
      g.forget();
      // The weights are the same here, so everything must come out the same, computed anew.
      expect(await finish(g, completions)).toEqual(expected);
      expect(g.computedRows - before).toBeGreaterThan(before);
    });
  });
});

describe('the cache', () => {
  it('is not computed again when a conversation goes on', async () => {
    await generating({}, async g => {
      const prompt = randomTokens(100, 'conversation');
      const options = { maxTokens: 30, seed: 1 };
      const [first] = await finish(g, [g.generate(0, prompt, options)]);
      expect(g.computedRows).toBe(100 + 29);
      const continued = [...prompt, ...first.tokens, ...randomTokens(25, 'observation')];
      const [second] = await finish(g, [g.generate(1, continued, options)]);
      // The last sampled token was never computed: it comes with the appended ones.
      expect(g.computedRows).toBe(129 + 26 + 29);
      expect(second).toEqual(await alone({ prompt: continued, options }));
    });
  });

  it('shares one prompt among the samples that start from it', async () => {
    await generating({}, async g => {
      const prompt = randomTokens(100, 'samples');
      const samples = Array.from({ length: 16 }, (_, seed) => g.generate(seed, prompt, { maxTokens: 5, seed }));
      const completions = await finish(g, samples);
      expect(new Set(completions.map(({ tokens }) => tokens.join())).size).toBeGreaterThan(8);
      const ownOfEach = 1 + 4;
      expect(g.computedRows).toBeLessThanOrEqual(100 + 16 * ownOfEach);
    });
  });

  it('shares a common beginning among different prompts', async () => {
    await generating({}, async g => {
      const system = randomTokens(128, 'system');
      const prompts = Array.from({ length: 8 }, (_, i) => [...system, ...randomTokens(10, 'user', i)]);
      await finish(
        g,
        prompts.map((prompt, i) => g.generate(i, prompt, { maxTokens: 1 })),
      );
      expect(g.computedRows).toBeLessThanOrEqual(128 + 8 * 10);
    });
  });
});

describe('a completion', () => {
  it('ends with the first stop token or at its length', async () => {
    const prompt = randomTokens(10, 'stop');
    const free = await alone({ prompt, options: { maxTokens: 40, seed: 2 } });
    expect(free).toMatchObject({ stopReason: 'length' });
    expect([free.tokens.length, free.logprobs.length]).toEqual([40, 40]);
    const stop = [free.tokens[25], free.tokens[12]];
    const end = free.tokens.findIndex(token => stop.includes(token)) + 1;
    expect(await alone({ prompt, options: { maxTokens: 40, seed: 2, stop } })).toEqual({
      tokens: free.tokens.slice(0, end),
      logprobs: free.logprobs.slice(0, end),
      stopReason: 'stop',
    });
    expect(await alone({ prompt, options: { maxTokens: 0 } })).toEqual({
      tokens: [],
      logprobs: [],
      stopReason: 'length',
    });
  });

  it('is decided by its seed', async () => {
    const of = (seed: number) => alone({ prompt: randomTokens(10, 'seed'), options: { maxTokens: 20, seed } });
    expect(await of(1)).toEqual(await of(1));
    expect((await of(1)).tokens).not.toEqual((await of(2)).tokens);
  });

  it('ends where the positions or the cache end', async () => {
    const prompt = randomTokens(122, 'end');
    const [completion] = await generating({ cacheTokens: 128 }, g =>
      finish(g, [g.generate(0, prompt, { maxTokens: 500 })]),
    );
    expect(completion).toMatchObject({ stopReason: 'length', tokens: { length: 6 } });
    const long = await alone({ prompt: randomTokens(maxPositions - 3, 'long'), options: { maxTokens: 500 } });
    expect(long.tokens.length).toBe(3);
  });

  it.each([
    { prompt: [], message: 'a prompt needs at least one token' },
    { prompt: randomTokens(maxPositions), message: `the prompt has ${maxPositions} tokens` },
    {
      prompt: [1, vocabSize, 2],
      message: `the prompt holds token ${vocabSize}; this model has tokens 0 to ${vocabSize - 1}`,
    },
    { prompt: [1, -1], message: 'the prompt holds token -1' },
  ])('of a wrong prompt is refused: $message', async ({ prompt, message }) => {
    await generating({}, async g => {
      const good = g.generate(0, [1, 2], { maxTokens: 2 });
      const bad = g.generate(1, prompt, { maxTokens: 2 });
      await expect(bad).rejects.toThrow(UserError);
      await expect(bad).rejects.toThrow(message);
      const [completion] = await finish(g, [good]);
      expect(completion.tokens.length).toBe(2);
    });
  });
});
