import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { availableMemory, partsOf, planMemory, refuseTooLarge } from '../../../src/engine/local/memory.ts';
import { keptRows, memoryNeed, type Recompute, rowsPerPass, total } from '../../../src/engine/local/memoryNeed.ts';
import { LocalModel, type ModelOptions } from '../../../src/engine/local/model.ts';
import { WeightsOpener } from '../../../src/engine/local/openWeights.ts';
import { parseConfig, tensorShapes } from '../../../src/model/config.ts';
import { qwen3Small } from '../../../src/model/published.ts';
import { elements } from '../../../src/model/safetensors.ts';
import { native } from '../../../src/tensor/cpu/native.ts';
import { temporaryFolder, writeTinyModel } from '../tinyModel.ts';

const options = { dtype: 'f32' as const, activationBytes: 2 ** 20, cacheBytes: 2 ** 20, maxBatch: 4 };

function open(dir: string, options: ModelOptions): LocalModel {
  return new LocalModel(dir, new WeightsOpener().open(dir, options), options);
}

test('training needs four fp32 numbers a parameter and every product twice', () => {
  const config = parseConfig({
    architectures: ['Qwen3ForCausalLM'],
    hidden_size: 64,
    intermediate_size: 128,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    head_dim: 32,
    vocab_size: 100,
    tie_word_embeddings: true,
  });
  const matrices = 100 * 64 + 64 * 32 * (2 + 1 + 1 + 2) + 3 * 64 * 128;
  const vectors = 3 * 64 + 2 * 32;
  const options = { dtype: 'bf16', trainable: true, activationBytes: 0 } as const;
  const need = memoryNeed(config, options, { inBlocks: false, recompute: 'off' });
  expect(need).toMatchObject({ weights: 2 * 2 * matrices, optimizer: 16 * (matrices + vectors) });
  expect(need.positions).toBe(2 * 4 * 32_768 * 32);
});

test('the softmax that training keeps bounds a pass where the vocabulary is wide and the model small', () => {
  const shape = { architectures: ['Qwen3ForCausalLM'], hidden_size: 64, intermediate_size: 128, num_hidden_layers: 1 };
  const heads = { num_attention_heads: 2, num_key_value_heads: 1, head_dim: 32, tie_word_embeddings: true };
  const rows = (vocab_size: number) =>
    rowsPerPass(parseConfig({ ...shape, ...heads, vocab_size }), { dtype: 'bf16', activationBytes: 2 ** 30 });
  expect(rows(1000)).toBe(8192);
  expect(rows(150_000)).toBe(Math.floor(2 ** 29 / (2 * 150_000)));
});

const lora = { rank: 4, alpha: 8, targets: ['q_proj', 'v_proj', 'down_proj'] as const, seed: 0 };

test.each([{ trainable: true }, { trainable: false }, { trainable: true, lora }])(
  'what is loaded takes what was foreseen: %j',
  async how => {
    const dir = await writeTinyModel(temporaryFolder());
    const before = native().memory().liveBytes;
    const model = open(dir, { ...options, ...how });
    const rotary = 512 * 12 * 4;
    const taken = native().memory().liveBytes - before - rotary;
    const { weights, optimizer } = model.plan.need;
    model.free();
    expect(taken).toBeGreaterThanOrEqual(weights + optimizer);
    expect(taken).toBeLessThan(2 * (weights + optimizer)); // tiny matrices are padded to blocks of 64
  },
);

test('a model that cannot fit is refused with the numbers', () => {
  const GiB = 2 ** 30;
  const need = {
    weights: 3 * GiB,
    expanded: 0,
    optimizer: 9 * GiB,
    activations: GiB / 2,
    positions: GiB / 2,
    cache: 0,
  };
  const whole = { inBlocks: false, recompute: 'auto' } as const;
  expect(() => refuseTooLarge('model', partsOf({ ...whole, need }), 8 * GiB)).toThrow(
    /needs weights 3.0 \+ optimizer 9.0 \+ activations 0.5 \+ positions 0.5 GiB, and 8.0 GiB are free/,
  );
  expect(() => refuseTooLarge('model', partsOf({ ...whole, need }), 14 * GiB)).not.toThrow();
  const inBlocks = partsOf({ inBlocks: true, recompute: 'on', need: { ...need, expanded: GiB } });
  expect(() => refuseTooLarge('model', inBlocks, 8 * GiB)).toThrow(
    /weights in blocks 3.0 \+ expanded weights 1.0 \+ .* \+ activations of layers computed twice 0.5 /,
  );
  const sampling = partsOf({ ...whole, need: { ...need, cache: GiB } });
  expect(() => refuseTooLarge('model', sampling, 13.5 * 2 ** 30)).toThrow(
    /\+ keys and values 1.0 GiB.* lower engine.activationBytes or engine.cacheBytes/,
  );
  expect(availableMemory()).toBeGreaterThan(2 ** 28);
});

test('a model that this machine cannot hold is refused before anything of it is read', async () => {
  const dir = await writeTinyModel(temporaryFolder());
  const config = JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8'));
  const vocab_size = Math.ceil(availableMemory() / (4 * config.hidden_size)); // in fp32 as much as is free
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, shape] of tensorShapes(parseConfig({ ...config, vocab_size }))) {
    const start = end;
    end += 4 * elements(shape);
    header[name] = { dtype: 'F32', shape, data_offsets: [start, end] };
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = join(dir, 'model.safetensors');
  writeFileSync(file, Buffer.concat([length, json]));
  truncateSync(file, 8 + json.length + end); // with a hole instead of weights
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ ...config, vocab_size }));

  const before = native().memory().liveBytes;
  expect(() => open(dir, { ...options, trainable: false })).toThrow(/does not fit into memory: it needs/);
  expect(native().memory().liveBytes).toBe(before);
});

test('a cache that this machine cannot hold is refused before it takes memory', async () => {
  const dir = await writeTinyModel(temporaryFolder());
  const before = native().memory().liveBytes;
  const tooMuch = { ...options, cacheBytes: 2 * availableMemory() };
  expect(() => open(dir, { ...tooMuch, trainable: false })).toThrow(/keys and values .* or engine.cacheBytes/);
  expect(native().memory().liveBytes).toBe(before);
  const model = open(dir, { ...tooMuch, trainable: true });
  const loaded = native().memory().liveBytes;
  expect(() => model.generator).toThrow(/keys and values of what is sampled would take .* lower engine.cacheBytes/);
  expect(native().memory().liveBytes).toBe(loaded);
  model.free();
});

test('a model is held in the quickest of the ways that fit', () => {
  const config = parseConfig(qwen3Small);
  const quantised = { dtype: 'bf16', trainable: true, lora, activationBytes: 2 ** 31, blockBytes: 340e6 } as const;
  const held = (options: Parameters<typeof planMemory>[1]) => {
    const ways: unknown[] = [];
    let available = Number.POSITIVE_INFINITY;
    for (;;) {
      const { inBlocks, recompute, need } = planMemory(config, options, available);
      if (total(need) > available) return ways;
      ways.push([inBlocks ? 'blocks' : 'whole', recompute]);
      available = total(need) - 1;
    }
  };
  expect(held(quantised)).toEqual([
    ['whole', 'auto'],
    ['whole', 'on'],
    ['blocks', 'auto'],
    ['blocks', 'on'],
  ]);
  expect(held({ ...quantised, recompute: 'off' })).toEqual([
    ['whole', 'off'],
    ['blocks', 'off'],
  ]);
  expect(held({ ...quantised, quantized: 'blocks' })).toEqual([
    ['blocks', 'auto'],
    ['blocks', 'on'],
  ]);
  expect(held({ ...quantised, lora: undefined })).toEqual([
    ['whole', 'auto'],
    ['whole', 'on'],
  ]);
  expect(held({ ...quantised, lora: undefined, trainable: false })).toEqual([['whole', 'off']]);
  expect(held({ ...quantised, lora: undefined, trainable: false, scoresOnly: true })).toEqual([['blocks', 'off']]);
});

test('of a long sequence, activations are not kept where they would take more than they may', () => {
  const config = parseConfig(qwen3Small);
  const options = { dtype: 'bf16', activationBytes: 2 ** 30 } as const;
  const rows = rowsPerPass(config, options);
  expect(keptRows(config, options, 'auto')).toBeGreaterThanOrEqual(rows);
  expect(keptRows(config, options, 'auto')).toBeLessThan(1.5 * rows);
  expect(keptRows(config, { ...options, activationBytes: 2 ** 20 }, 'auto')).toBeLessThan(512);
});

test('a sequence that is longer than a pass is counted whole', () => {
  const config = parseConfig(qwen3Small);
  const options = { dtype: 'bf16', trainable: true, activationBytes: 2 ** 30 } as const;
  const rows = rowsPerPass(config, options);
  const activations = (longest: number, recompute: Recompute) =>
    memoryNeed(config, { ...options, longest }, { inBlocks: false, recompute }).activations;
  expect(activations(rows, 'off')).toBe(activations(1, 'off'));
  expect(activations(4 * rows, 'off')).toBe(4 * activations(1, 'off'));
  expect(activations(4 * rows, 'auto')).toBe(Math.max(activations(1, 'off'), activations(4 * rows, 'on')));
  expect(activations(rows + 1, 'auto')).toBeGreaterThanOrEqual(activations(1, 'off'));
  expect(activations(4 * rows, 'on')).toBeLessThan(activations(4 * rows, 'off') / 2);
});
