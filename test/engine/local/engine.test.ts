import {
  copyFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { readCheckpoint } from '../../../src/checkpoint/checkpoint.ts';
import { LocalEngine, type LocalEngineOptions } from '../../../src/engine/local/engine.ts';
import type { AdamParams, Datum, LossSpec, Trainer } from '../../../src/engine/types.ts';
import { UserError } from '../../../src/errors.ts';
import { elements, SafetensorsFile, writeSafetensors } from '../../../src/model/safetensors.ts';
import { native } from '../../../src/tensor/cpu/native.ts';
import { maxPositions, randomTokens, temporaryFolder, vocabSize, writeTinyModel } from '../tinyModel.ts';

let folder: string;
let [modelA, modelB] = ['', ''];
beforeAll(async () => {
  folder = temporaryFolder(afterAll);
  modelA = await writeTinyModel(`${folder}/a`, 1);
  modelB = await writeTinyModel(`${folder}/b`, 2);
});

async function start(options: LocalEngineOptions = {}): Promise<LocalEngine> {
  const engine = await LocalEngine.start({ dtype: 'f32', cacheBytes: 4 << 20, ...options });
  onTestFinished(() => engine.close());
  return engine;
}

const adam: AdamParams = { learningRate: 1e-2, betas: [0.9, 0.95], epsilon: 1e-8, weightDecay: 0.01, clipNorm: 1 };
const crossEntropy: LossSpec = { kind: 'cross_entropy' };

function datum(...path: (string | number)[]): Datum {
  const tokens = randomTokens(40, 'datum', ...path);
  return { tokens, weights: Float32Array.from(tokens, (_, t) => (t < 10 ? 0 : 1)) };
}

async function updates(trainer: Trainer, from: number, to: number): Promise<number[]> {
  const losses: number[] = [];
  for (let k = from; k < to; k++) {
    losses.push((await trainer.forwardBackward([datum(k), datum(k, 'more')], crossEntropy)).loss);
    expect((await trainer.optimStep(adam)).version).toBe(k + 1);
  }
  return losses;
}

function parameters(dir: string): Record<string, Float32Array> {
  const checkpoint = readCheckpoint(dir);
  const all = Object.fromEntries(checkpoint.tensors.map(tensor => [tensor.name, tensor.read()]));
  checkpoint.close();
  return all;
}

/** Gives the tensors of a file one dimension each. */
function flatten(path: string): void {
  const file = SafetensorsFile.open(path);
  const flat = [...file.tensors.values()].map(tensor => ({ ...tensor, shape: [elements(tensor.shape)] }));
  writeSafetensors(path, flat);
  file.close();
}

describe('a sampler', () => {
  it('gives each prompt what it gives it alone, whatever runs beside, and what it scores afterwards', async () => {
    const engine = await start();
    const sampler = await engine.sampler(modelA);
    const prompts = Array.from({ length: 6 }, (_, i) => randomTokens(5 + 17 * i, 'beside', i));
    const generate = (i: number) => sampler.generate(prompts[i], { maxTokens: 20, seed: i });
    const together = await Promise.all(prompts.map((_, i) => generate(i)));
    for (const i of prompts.keys()) expect(await generate(i)).toEqual(together[i]);

    const scorer = await engine.scorer(modelA);
    const scores = await scorer.score(
      prompts.map((prompt, i) => {
        const tokens = [...prompt, ...together[i].tokens];
        return { tokens, mask: Uint8Array.from(tokens, (_, t) => (t < prompt.length ? 0 : 1)) };
      }),
    );
    scores.forEach(({ logprobs }, i) => {
      together[i].logprobs.forEach((logprob, t) => {
        expect(Math.abs(logprob - logprobs[prompts[i].length + t])).toBeLessThan(1e-4);
      });
    });
  });

  it('tells what is likeliest in each place, as it ranks it, and scores the same bits with that and without', async () => {
    const engine = await start();
    const [sampler, scorer] = [await engine.sampler(modelA), await engine.scorer(modelA)];
    const prompt = randomTokens(90, 'shared');
    const sequences = [3, 7].map(length => {
      const tokens = [...prompt, ...randomTokens(length, 'alternatives', length)];
      return { tokens, mask: Uint8Array.from(tokens, (_, t) => (t > 2 && t % 2 ? 1 : 0)) };
    });
    const [plain, told] = [await scorer.score(sequences), await scorer.score(sequences, 4)];
    expect(told.map(({ alternatives: _, ...rest }) => rest)).toEqual(plain);
    for (const [s, { alternatives }] of told.entries()) {
      const { tokens, mask } = sequences[s];
      const ranked = await sampler.rank(tokens, 4);
      const expected = tokens.flatMap((_, t) => (mask[t] ? ranked[t - 1].alternatives : Array(4).fill({ token: 0 })));
      expect([...alternatives!.tokens]).toEqual(expected.map(({ token }) => token));
      expect(alternatives!.logprobs).toHaveLength(4 * tokens.length);
    }
  });

  it('has nothing to say in a conversation that has become as long as it can be', async () => {
    const sampler = await (await start()).sampler(modelA);
    const conversation = await sampler.open(randomTokens(40, 'long'));
    await conversation.generate({ maxTokens: 10 });
    conversation.append(randomTokens(maxPositions - 60, 'longer'));
    expect((await conversation.generate({ maxTokens: 100 })).tokens).toHaveLength(10);
    for (const more of [0, 30]) {
      conversation.append(randomTokens(more, 'longest'));
      expect(await conversation.generate({ maxTokens: 10 })).toEqual({
        tokens: [],
        logprobs: [],
        stopReason: 'length',
      });
    }
    const begun = await sampler.open(randomTokens(maxPositions, 'whole'));
    await expect(begun.generate({ maxTokens: 10 })).rejects.toThrow(/takes fewer than/);
  });

  it('continues a conversation as it would a fresh prompt', async () => {
    const engine = await start();
    const sampler = await engine.sampler(modelA);
    const prompt = randomTokens(50, 'conversation');
    const conversation = await sampler.open(prompt);
    const first = await conversation.generate({ maxTokens: 10, seed: 1 });
    const observation = randomTokens(15, 'observation');
    conversation.append(observation);
    const second = await conversation.generate({ maxTokens: 10, seed: 2 });
    conversation.close();
    expect(first).toEqual(await sampler.generate(prompt, { maxTokens: 10, seed: 1 }));
    const whole = [...prompt, ...first.tokens, ...observation];
    expect(second).toEqual(
      await (await start()).sampler(modelA).then(s => s.generate(whole, { maxTokens: 10, seed: 2 })),
    );
  });

  it('drops what is aborted and goes on with the others', async () => {
    const engine = await start();
    const sampler = await engine.sampler(modelA);
    const controller = new AbortController();
    const long = sampler.generate(randomTokens(20, 'aborted'), { maxTokens: 400 }, controller.signal);
    const other = sampler.generate(randomTokens(20, 'other'), { maxTokens: 30 });
    setTimeout(() => controller.abort(), 5);
    await expect(long).rejects.toMatchObject({ name: 'AbortError' });
    await expect(sampler.generate([1], { maxTokens: 1 }, controller.signal)).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(await other).toEqual(await sampler.generate(randomTokens(20, 'other'), { maxTokens: 30 }));
  });

  it('refuses wrong prompts in plain words and goes on', async () => {
    const engine = await start();
    const sampler = await engine.sampler(modelA);
    const wrong = [[], randomTokens(600, 'long'), [vocabSize]];
    for (const prompt of wrong) await expect(sampler.generate(prompt, { maxTokens: 1 })).rejects.toThrow(UserError);
    expect((await sampler.generate([1], { maxTokens: 2 })).tokens.length).toBe(2);
  });
});

describe('an engine', () => {
  it('holds several models, which do not mix', async () => {
    const engine = await start();
    const [a, b] = [await engine.sampler(modelA), await engine.sampler(modelB)];
    const prompt = randomTokens(30, 'two');
    const greedy = { maxTokens: 20, temperature: 0 };
    const both = await Promise.all([a.generate(prompt, greedy), b.generate(prompt, greedy)]);
    expect(both[0].tokens).not.toEqual(both[1].tokens);
    expect(await (await (await start()).sampler(modelB)).generate(prompt, greedy)).toEqual(both[1]);
  });

  it('rejects what is under way when it is closed, and everything after', async () => {
    const engine = await start();
    const sampler = await engine.sampler(modelA);
    const trainer = await engine.trainer(modelB);
    const open = [
      sampler.generate(randomTokens(20, 'closed'), { maxTokens: 400 }),
      trainer.forwardBackward([datum('closed')], crossEntropy),
    ].map(promise => expect(promise).rejects.toThrow('the engine was closed'));
    await engine.close();
    await Promise.all(open);
    await expect(sampler.generate([1], { maxTokens: 1 })).rejects.toThrow('the engine was closed');
    await engine.close();
  });

  it('says what is wrong with a checkpoint or a request, and goes on', async () => {
    const engine = await start();
    await expect(engine.sampler(`${folder}/none`)).rejects.toThrow(UserError);
    const trainer = await engine.trainer(modelA);
    await expect(trainer.load(modelB)).rejects.toThrow(/another shape/);
    const outside = { tokens: [1, vocabSize, 2], weights: Float32Array.of(0, 1, 1) };
    await expect(trainer.forwardBackward([outside], crossEntropy)).rejects.toThrow(`has ${vocabSize} at`);
    expect((await trainer.forwardBackward([datum('fine')], crossEntropy)).tokens).toBe(30);
  });
});

describe('whoever computes', () => {
  const sequences = (count: number, length: number) =>
    Array.from({ length: count }, (_, i) => {
      const tokens = randomTokens(length, 'scored', i);
      return { tokens, mask: new Uint8Array(length).fill(1, 1) };
    });
  /** What was done, in the order in which it was. */
  const order = async (...work: Record<string, Promise<unknown>>[]) => {
    const ended: string[] = [];
    const all = work.flatMap(named => Object.entries(named));
    await Promise.all(all.map(([name, done]) => done.then(() => ended.push(name))));
    return ended;
  };

  it('takes turns: a short generation and a short score end before a long score and a long generation do', async () => {
    const engine = await start();
    const [policy, teacher] = [await engine.sampler(modelA), await engine.sampler(modelB)];
    const alone = await teacher.score(sequences(40, 500));
    const long = { generation: policy.generate([1], { maxTokens: 400 }), score: teacher.score(sequences(40, 500)) };
    const short = {
      'short generation': policy.generate([2], { maxTokens: 4 }),
      'short ranking': teacher.rank(randomTokens(20, 'ranked'), 1),
      'short score': teacher.score(sequences(1, 20)),
    };
    const ended = await order(long, short);
    expect(ended.slice(0, 3).toSorted()).toEqual(Object.keys(short).toSorted());
    expect(await long.score).toEqual(alone);
  });

  it('reads the weights that it was asked to read, whatever is asked for before it is done', async () => {
    const engine = await start();
    const trainer = await engine.trainer(modelA);
    const score = () => trainer.score(sequences(20, 500));
    const before = await score();
    const asked = score();
    trainer.forwardBackward([datum(1)], crossEntropy);
    const updated = trainer.optimStep(adam);
    const after = score();
    expect(await order({ asked, updated, after })).toEqual(['asked', 'updated', 'after']);
    expect(await asked).toEqual(before);
    expect(await after).toEqual(await score());
    expect(await after).not.toEqual(before);
  });
});

describe('a trainer', () => {
  it('lowers the loss, and samples from the weights it has', async () => {
    const engine = await start();
    const trainer = await engine.trainer(modelA);
    const sampler = await trainer.sampler();
    const data = [datum('learned')];
    const { tokens } = data[0];
    const greedy = { maxTokens: 30, temperature: 0 };
    const before = await sampler.generate(tokens.slice(0, 10), greedy);
    const losses: number[] = [];
    for (let k = 0; k < 60; k++) {
      losses.push((await trainer.forwardBackward(data, crossEntropy)).loss);
      await trainer.optimStep(adam);
    }
    expect(losses.at(-1)).toBeLessThan(0.1 * losses[0]);
    const after = await sampler.generate(tokens.slice(0, 10), greedy);
    expect(after.tokens).toEqual(tokens.slice(10));
    expect(before.tokens).not.toEqual(after.tokens);
  });

  it('lets sampling go on while the weights change under it', async () => {
    const engine = await start();
    const trainer = await engine.trainer(modelA);
    const sampler = await trainer.sampler();
    const completions = Promise.all([1, 2, 3].map(seed => sampler.generate([seed], { maxTokens: 100, seed })));
    await updates(trainer, 0, 5);
    for (const { tokens } of await completions) expect(tokens.length).toBe(100);
  });

  const dtypes = ['f32', 'bf16'] as const;
  it.each(dtypes)('goes on bit for bit from what it saved, %s', async dtype => {
    const straight = await (await start({ dtype })).trainer(modelA);
    const losses = [...(await updates(straight, 0, 3))];
    await straight.save(`${folder}/${dtype}-middle`, { optimizer: true });
    losses.push(...(await updates(straight, 3, 6)));
    await straight.save(`${folder}/${dtype}-straight`, { optimizer: true });

    const resumed = await (await start({ dtype })).trainer(modelA);
    await resumed.load(`${folder}/${dtype}-middle`);
    expect(await updates(resumed, 3, 6)).toEqual(losses.slice(3));
    await resumed.save(`${folder}/${dtype}-resumed`, { optimizer: true });
    expect(parameters(`${folder}/${dtype}-resumed`)).toEqual(parameters(`${folder}/${dtype}-straight`));
    expect(parameters(`${folder}/${dtype}-resumed`)).not.toEqual(parameters(`${folder}/${dtype}-middle`));
  });

  it('goes on from where versions before kept the moments, which is beside the weights', async () => {
    const dir = `${folder}/older`;
    const trainer = await (await start()).trainer(modelA);
    const losses = await updates(trainer, 0, 2);
    await trainer.save(dir, { optimizer: true });
    expect(readdirSync(dir).filter(name => name.endsWith('.safetensors'))).toEqual(['model.safetensors']);
    losses.push(...(await updates(trainer, 2, 4)));
    renameSync(`${dir}/optimizer/moments.safetensors`, `${dir}/optimizer.safetensors`);
    await trainer.load(dir);
    expect(await updates(trainer, 2, 4)).toEqual(losses.slice(2));
  });

  it.each(dtypes)('learns the same weights by any number of threads, bit for bit, %s', async dtype => {
    const learned = async (threads: number) => {
      const trainer = await (await start({ dtype, threads })).trainer(modelB);
      const losses = await updates(trainer, 0, 4);
      await trainer.save(`${folder}/${dtype}-${threads}`);
      return { losses, weights: parameters(`${folder}/${dtype}-${threads}`) };
    };
    const one = await learned(1);
    for (const threads of [2, 3]) expect(await learned(threads)).toEqual(one);
  });

  it('says so where it goes on with other kernels than it began with', async () => {
    const said = async (dtype: 'f32' | 'bf16', dir: string) => {
      const notices: string[] = [];
      const trainer = await (await start({ dtype, threads: 1, onNotice: notice => notices.push(notice) })).trainer(
        modelA,
      );
      await trainer.load(dir);
      await trainer.save(`${dir}-on`, { optimizer: true });
      return notices.slice(1);
    };
    const { isa } = native().cpu();
    const began = `${folder}/began`;
    await (await (await start({ dtype: 'f32' })).trainer(modelA)).save(began, { optimizer: true });
    expect(await said('f32', began)).toEqual([]);
    const otherwise = 'results may differ in their last bits from those of an uninterrupted run';
    expect(await said('bf16', began)).toEqual([
      `${began} was computed by kernels for ${isa} in f32; it goes on with kernels for ${isa} in bf16: ${otherwise}`,
    ]);
    const state = `${began}-on/trainer.json`;
    writeFileSync(state, readFileSync(state, 'utf8').replaceAll(isa, 'another ISA'));
    expect(await said('bf16', `${began}-on`)).toEqual([
      `${began}-on was computed by kernels for another ISA in f32, then kernels for another ISA in bf16; ` +
        `it goes on with kernels for ${isa} in bf16: ${otherwise}`,
    ]);
  });

  it('starts its optimizer afresh from a checkpoint without one', async () => {
    const engine = await start();
    const trained = await engine.trainer(modelA);
    const first = await updates(trained, 0, 2);
    await trained.load(modelA);
    expect(await updates(trained, 0, 2)).toEqual(first);
  });

  it('does not go on where something is missing that it needs, and does from the next checkpoint', async () => {
    const trainer = await (await start()).trainer(modelA);
    const whole = `${folder}/whole`;
    await updates(trainer, 0, 2);
    await trainer.save(whole, { optimizer: true });
    const losses = await updates(trainer, 2, 3);
    const state = 'optimizer/moments.safetensors';
    const damages: [string, (dir: string) => void][] = [
      ["the optimizer's state, is missing", dir => rmSync(`${dir}/${state}`)],
      [state, dir => truncateSync(`${dir}/${state}`, 1000)],
      ["the optimizer's state lacks", dir => copyFileSync(`${dir}/model.safetensors`, `${dir}/${state}`)],
      ["the optimizer's state has", dir => flatten(`${dir}/${state}`)],
      ['model.safetensors', dir => truncateSync(`${dir}/model.safetensors`, 1000)],
      ['trainer.json', dir => rmSync(`${dir}/trainer.json`)],
      ['trainer.json', dir => writeFileSync(`${dir}/trainer.json`, '')],
      ['version', dir => writeFileSync(`${dir}/trainer.json`, '{"version":-1}')],
    ];
    for (const [i, [reason, damage]] of damages.entries()) {
      const dir = `${folder}/damaged-${i}`;
      cpSync(whole, dir, { recursive: true });
      damage(dir);
      const refusal = await trainer.load(dir, { optimizer: true }).catch(error => error);
      expect(refusal).toBeInstanceOf(UserError);
      expect(refusal.message).toContain(reason);
    }
    await trainer.load(whole, { optimizer: true });
    expect(await updates(trainer, 2, 3)).toEqual(losses);
  });
});
