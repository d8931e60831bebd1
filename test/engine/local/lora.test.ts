import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { readCheckpoint } from '../../../src/checkpoint/checkpoint.ts';
import { LocalEngine, type LocalEngineOptions, type LocalTrainer } from '../../../src/engine/local/engine.ts';
import { WeightsOpener } from '../../../src/engine/local/openWeights.ts';
import type { LossSpec } from '../../../src/engine/types.ts';
import { linearNames } from '../../../src/model/config.ts';
import { SafetensorsFile } from '../../../src/model/safetensors.ts';
import { native } from '../../../src/tensor/cpu/native.ts';
import { randomTokens, temporaryFolder, writeTinyModel } from '../tinyModel.ts';

const folder = temporaryFolder(afterAll);
const base = await writeTinyModel(join(folder, 'base'), 1);
const other = await writeTinyModel(join(folder, 'other'), 3);
writeFileSync(join(base, 'agent.json'), '{}');

const lora = { rank: 4, alpha: 8, targets: linearNames, seed: 5 };
const adam = { learningRate: 5e-3, betas: [0.9, 0.95] as [number, number], epsilon: 1e-8, weightDecay: 0, clipNorm: 1 };
const loss: LossSpec = { kind: 'cross_entropy' };
const sequence = { tokens: randomTokens(30, 'scored'), mask: new Uint8Array(30).fill(1) };

async function start(options: LocalEngineOptions = {}): Promise<LocalEngine> {
  const engine = await LocalEngine.start({ threads: 1, cacheBytes: 2 ** 20, ...options });
  onTestFinished(() => engine.close());
  return engine;
}

async function learn(trainer: LocalTrainer, first: number, last: number): Promise<number[]> {
  const losses: number[] = [];
  for (let k = first; k < last; k++) {
    const tokens = randomTokens(30, 'learned', k % 2);
    losses.push((await trainer.forwardBackward([{ tokens, weights: new Float32Array(30).fill(1) }], loss)).loss);
    await trainer.optimStep(adam);
  }
  return losses;
}

const file = (dir: string, name: string) => readFileSync(join(dir, name));

describe.each(['f32', 'bf16'] as const)('adapters in %s', dtype => {
  it('learn, and go on bit for bit from what was saved', async () => {
    const straight = await (await start({ dtype })).trainer(base, lora);
    const losses = await learn(straight, 0, 8);
    const [middle, end, again] = ['middle', 'end', 'again'].map(name => join(folder, `${dtype}-${name}`));
    await straight.save(middle, { optimizer: true });
    losses.push(...(await learn(straight, 8, 20)));
    await straight.save(end, { optimizer: true });
    expect(losses.at(-1)).toBeLessThan(0.7 * losses[0]);

    const resumed = await (await start({ dtype, threads: 2 })).trainer(base, lora);
    await resumed.load(middle, { optimizer: true });
    expect(await learn(resumed, 8, 20)).toEqual(losses.slice(8));
    await resumed.save(again, { optimizer: true });
    for (const name of ['adapter_model.safetensors', 'optimizer/moments.safetensors']) {
      expect(file(again, name).equals(file(end, name)), name).toBe(true);
      expect(file(again, name).equals(file(middle, name)), name).toBe(false);
    }
  });

  it('sample and score as one model, which their checkpoint is once more when it is read', async () => {
    const engine = await start({ dtype });
    const trainer = await engine.trainer(base, lora);
    await learn(trainer, 0, 10);
    const [dir, merged] = [join(folder, `${dtype}-saved`), join(folder, `${dtype}-merged`)];
    await trainer.save(dir);
    await trainer.save(merged, { merged: true });
    const sampler = await trainer.sampler();
    const said = await sampler.generate(sequence.tokens.slice(0, 5), { maxTokens: 25, seed: 1 });
    const [scores] = await trainer.score([sequence]);
    const whole = { tokens: [...sequence.tokens.slice(0, 5), ...said.tokens], mask: sequence.mask };
    const [ofSaid] = await trainer.score([whole]);
    expectClose(ofSaid.logprobs.subarray(5), said.logprobs, dtype === 'f32' ? 1e-4 : 0.1);

    const alone = await start({ dtype });
    for (const checkpoint of [dir, merged]) {
      const [read] = await (await alone.scorer(checkpoint)).score([sequence]);
      expectClose(read.logprobs, scores.logprobs, dtype === 'f32' ? 1e-4 : 0.1);
    }
    const [own] = await (await alone.scorer(base)).score([sequence]);
    expect(Math.max(...own.logprobs.map((logprob, t) => Math.abs(logprob - scores.logprobs[t])))).toBeGreaterThan(1);
  });

  it('leave the base as it is to a scorer beside them, and to other adapters over it', async () => {
    const engine = await start({ dtype });
    const trainer = await engine.trainer(base, lora);
    await learn(trainer, 0, 4);
    const earlier = join(folder, `${dtype}-earlier`);
    await trainer.save(earlier);
    const [then] = await trainer.score([sequence]);
    await learn(trainer, 4, 8);
    const [ofBase, ofEarlier] = [await engine.scorer(base), await engine.scorer(earlier)];
    const alone = await (await start({ dtype })).scorer(base);
    expect(await ofBase.score([sequence])).toEqual(await alone.score([sequence]));
    expectClose((await ofEarlier.score([sequence]))[0].logprobs, then.logprobs, dtype === 'f32' ? 1e-5 : 0.05);
  });
});

it('a teacher of the same base takes no memory for weights', () => {
  const opener = new WeightsOpener();
  const options = { dtype: 'f32' as const, activationBytes: 2 ** 20 };
  const before = native().memory().liveBytes;
  const student = opener.open(base, { ...options, trainable: true, lora });
  const taken = native().memory().liveBytes;
  const teacher = opener.open(base, { ...options, trainable: false });
  expect(native().memory().liveBytes).toBe(taken);
  expect(teacher.plan.need).toMatchObject({ weights: 0, optimizer: 0, positions: 0 });
  student.free();
  expect(native().memory().liveBytes).toBeGreaterThan(before);
  teacher.free();
  expect(native().memory().liveBytes).toBe(before);
});

it('adapters are stored as PEFT has them, with what else a model needs', async () => {
  const trainer = await (await start()).trainer(base, { ...lora, targets: ['q_proj', 'down_proj'] });
  const dir = join(folder, 'peft');
  await trainer.save(dir);
  expect(readdirSync(dir).sort()).toEqual([
    'adapter_config.json',
    'adapter_model.safetensors',
    'agent.json',
    'base.json',
  ]);
  const weights = SafetensorsFile.open(join(dir, 'adapter_model.safetensors'));
  onTestFinished(() => weights.close());
  const shapes = [...weights.tensors].map(([name, { shape, dtype }]) => [name, shape, dtype]);
  expect(shapes.length).toBe(8);
  const prefix = 'base_model.model.model.layers.1';
  expect(shapes).toContainEqual([`${prefix}.self_attn.q_proj.lora_A.weight`, [4, 40], 'F32']);
  expect(shapes).toContainEqual([`${prefix}.mlp.down_proj.lora_B.weight`, [40, 4], 'F32']);
  expect(JSON.parse(file(dir, 'adapter_config.json').toString())).toMatchObject({
    peft_type: 'LORA',
    base_model_name_or_path: base,
    r: 4,
    lora_alpha: 8,
    target_modules: ['q_proj', 'down_proj'],
  });
});

it('what does not go together is refused in a sentence', async () => {
  const engine = await start();
  const trainer = await engine.trainer(base, lora);
  const moved = await writeTinyModel(join(folder, 'moved'), 1);
  const [dir, ofMoved] = [join(folder, 'ours'), join(folder, 'of-moved')];
  await trainer.save(dir, { optimizer: true });
  await expect(trainer.load(base)).rejects.toThrow(/base holds no adapter/);
  for (const change of [{ rank: 2 }, { alpha: 9 }, { targets: ['q_proj'] as const }]) {
    const unlike = await engine.trainer(base, { ...lora, ...change });
    await expect(unlike.load(dir)).rejects.toThrow(/ours holds adapters of another rank, alpha or other targets/);
  }

  await (await engine.trainer(moved, lora)).save(ofMoved);
  writeFileSync(join(moved, 'model.safetensors'), file(other, 'model.safetensors'));
  expect(() => readCheckpoint(ofMoved)).toThrow(/of-moved was trained over other weights than .*moved has now/);
  await engine.scorer(ofMoved); // over the weights that are still in memory
  await (await (await start()).trainer(moved, lora)).save(ofMoved);
  await expect(engine.scorer(ofMoved)).rejects.toThrow(/was trained over other weights/);
});

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  const differences = Array.from(actual, (value, i) => Math.abs(value - expected[i]));
  expect(Math.max(...differences)).toBeLessThan(tolerance);
}
