import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installLlama } from '../../bench/engine/install.ts';
import { demoSized, writeRandomQwen3 } from '../../bench/randomQwen3.ts';
import { readCheckpoint, writeCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { LocalEngine, type LocalSampler } from '../../src/engine/local/engine.ts';
import { type TensorToWrite, writeGgufFile } from '../../src/gguf/file.ts';
import { ggufName } from '../../src/gguf/names.ts';
import { storedBytes, type TensorTypeName, tensorTypes } from '../../src/gguf/tensorTypes.ts';
import { preTokenizers } from '../../src/gguf/tokenFormat.ts';
import { type ExportType, ggufMetadata, writeGguf } from '../../src/gguf/write.ts';
import { parseConfig, tensorShapes } from '../../src/model/config.ts';
import { elements, type StoredTensor } from '../../src/model/safetensors.ts';
import { Random } from '../../src/random.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { initializeCheckpoint } from '../../src/train/initialize.ts';
import { openWorld } from '../../src/worlds/open.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { weatherModel, weatherTool } from '../serve/weatherModel.ts';

const llamaProgram = fileURLToPath(new URL('../../bench/engine/peers/llamaAgreement.js', import.meta.url));
const folder = temporaryFolder(afterAll);
let engine: LocalEngine;
beforeAll(async () => {
  installLlama();
  engine = await LocalEngine.start({ dtype: 'f32' });
}, 300_000);
afterAll(() => engine.close());

interface Sequence {
  tokens: number[];
  /** The first token whose log-probability is asked for. */
  from: number;
}

interface Request {
  gguf: string;
  texts?: string[];
  sequences?: Sequence[];
  prompts?: number[][];
  steps?: number;
}

interface Answer {
  cut: number[][];
  logprobs: number[][];
  greedy: number[][];
  template: string;
}

function llama(requests: Request[]): Answer[] {
  const nothing = { texts: [], sequences: [], prompts: [], steps: 0 };
  const said = execFileSync(process.execPath, [llamaProgram], {
    input: JSON.stringify(requests.map(request => ({ ...nothing, ...request }))),
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  return JSON.parse(said);
}

async function ownLogprobs(sampler: LocalSampler, { tokens, from }: Sequence): Promise<number[]> {
  const mask = Uint8Array.from(tokens, (_, i) => (i < from ? 0 : 1));
  const [{ logprobs }] = await sampler.score([{ tokens, mask }]);
  return [...logprobs.subarray(from)];
}

const average = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;
const farthest = (a: number[], b: number[]) => Math.max(...a.map((value, i) => Math.abs(value - b[i])));

// llama.cpp does not compose characters (NFC), and takes `<tool_call>` for a token in any text: neither is in these.
const texts = [
  'How warm is it in Oslo?',
  ' 12345 + 67.8 = ?\n\n\tdef f(x):\n\t\treturn x**2  # “ok”',
  'Grüße aus 東京 😀👩‍👩‍👧 — naïve\u00a0…',
  "it's WE'RE don't  I'll\r\n\r\n   spaces   \n",
  '<|im_end|> as text? {"name": "x"}',
];
const questions = ['How warm is it in Oslo?', 'Compare Oslo and Rome.', 'Say hello.', 'What do you know of 東京?'];

const types: ExportType[] = ['f32', 'f16', 'bf16', 'q8_0'];

describe('a trained agent as GGUF, in llama.cpp', () => {
  const file = (type: string) => join(folder, `agent-${type}.gguf`);
  let model: string;
  let sampler: LocalSampler;
  /** Each question's prompt and what the agent says to it, greedily. */
  let turns: Sequence[];
  /** Of one that it has learned, and of the one that it has never seen. */
  let scored: Sequence[];
  let seen: Record<string, Answer>;
  beforeAll(async () => {
    model = await weatherModel();
    sampler = await engine.sampler(model);
    const checkpoint = readCheckpoint(model);
    for (const type of types) await writeGguf(file(type), checkpoint, { type, name: 'model' });
    checkpoint.close();
    const { name, description, parameters } = weatherTool.function;
    const chat = loadChat(model);
    const prompts = questions.map(content =>
      chat.prompt([{ role: 'user', content }], [{ name, description, parameters }]),
    );
    turns = await Promise.all(
      prompts.map(async prompt => {
        const options = { maxTokens: 48, temperature: 0, stop: chat.stopTokens };
        const { tokens } = await sampler.generate(prompt, options);
        return { tokens: [...prompt, ...tokens], from: prompt.length };
      }),
    );
    scored = [turns[0], turns.at(-1)!];
    const answers = llama(
      types.map(type => ({
        gguf: file(type),
        texts,
        sequences: scored,
        prompts: type === 'f32' ? prompts : [],
        steps: 48,
      })),
    );
    seen = Object.fromEntries(types.map((type, i) => [type, answers[i]]));
  }, 300_000);

  test('the same tokens of texts, and the chat template', () => {
    const chat = loadChat(model);
    expect(seen.f32.cut).toEqual(texts.map(text => chat.encode(text)));
    expect(seen.f32.template).toContain('<|im_start|>');
  });

  test('f32: the same greedy tokens', () => {
    for (const [i, { tokens, from }] of turns.entries()) {
      const said = tokens.slice(from);
      // It would go on behind the end of a turn.
      expect(seen.f32.greedy[i].slice(0, said.length)).toEqual(said);
    }
  });

  test.each(types)('%s: what the agent says is as likely there as here, within 0.05', async type => {
    const own = await engine.sampler(file(type));
    for (const [i, turn] of scored.entries()) {
      const exact = await ownLogprobs(sampler, turn);
      // It keeps keys and values in float16.
      expect(farthest(seen[type].logprobs[i], exact)).toBeLessThan(type === 'f32' ? 0.01 : 0.05);
      expect(farthest(await ownLogprobs(own, turn), exact)).toBeLessThan(0.05);
    }
  });

  test('a GGUF file is a checkpoint: its prompts are the same', () => {
    const prompt = (checkpoint: string) => loadChat(checkpoint).prompt([{ role: 'user', content: questions[3] }], []);
    expect(prompt(file('q8_0'))).toEqual(prompt(model));
  });
});

test("Qwen3's own tokenizer: the same tokens, prompts and probabilities", async () => {
  const model = join(folder, 'qwen3');
  const file = join(folder, 'qwen3.gguf');
  const shape = { hidden_size: 64, intermediate_size: 128, num_attention_heads: 2, num_key_value_heads: 1 };
  await writeRandomQwen3(model, { ...demoSized, ...shape, vocab_size: 151_936, initializer_range: 0.3 });
  const checkpoint = readCheckpoint(model);
  await writeGguf(file, checkpoint, { name: 'qwen3' });
  checkpoint.close();
  const [chat, read] = [model, file].map(path => loadChat(path));
  const sequence = { tokens: chat.encode(texts[0]), from: 1 };
  const [seen] = llama([{ gguf: file, texts, sequences: [sequence] }]);
  expect(seen.cut).toEqual(texts.map(text => chat.encode(text)));
  expect(seen.template).toContain('<|im_start|>');
  for (const path of [model, file]) {
    const ours = await ownLogprobs(await engine.sampler(path), sequence);
    expect(farthest(seen.logprobs[0], ours)).toBeLessThan(0.01);
    expect(farthest(ours, Array(ours.length).fill(ours[0]))).toBeGreaterThan(1);
  }
  const [prompt, again] = [chat, read].map(({ prompt }) => prompt([{ role: 'user', content: questions[3] }], []));
  expect(again).toEqual(prompt);
});

/** The halves that a block begins with or ends in, of a size that gives values around 0.05: where they stand, and what. */
const scales: Partial<Record<TensorTypeName, [at: number, half: number][]>> = {
  Q4_0: [[0, 0x211f]], // 0.01
  Q4_1: [
    [0, 0x211f],
    [2, 0xaccd], // -0.075
  ],
  Q4_K: [
    [0, 0x0cea], // 0.0003
    [2, 0x1819], // 0.002
  ],
  Q6_K: [[208, 0x029f]], // 0.00004
};

/** Each family with its positions scaled and its text split in a way of its own; Llama's attention has the biases that it can have. */
const families: [architecture: string, scaling: Record<string, unknown>, pre: string][] = [
  [
    'LlamaForCausalLM',
    { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 32 },
    'llama-bpe',
  ],
  ['Qwen2ForCausalLM', { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 64 }, 'smollm'],
  ['Qwen3ForCausalLM', { rope_type: 'linear', factor: 2 }, 'qwen2'],
];

/** The same shape and tokens in another family, its weights drawn anew. */
async function writeFamily(
  folder: string,
  from: string,
  [architecture, rope_scaling, pre]: (typeof families)[number],
): Promise<void> {
  const { config, close } = readCheckpoint(from);
  close();
  const { model_type: _, ...raw } = config.raw;
  const attention_bias = architecture === 'LlamaForCausalLM';
  const own = parseConfig({ ...raw, architectures: [architecture], rope_scaling, attention_bias });
  const tensors = [...tensorShapes(own)].map(([name, shape]): StoredTensor => {
    const mean = name.includes('norm') ? 1 : 0;
    const read = () => {
      const random = Random.of(name);
      return Float32Array.from({ length: elements(shape) }, () => mean + 0.1 * random.normal());
    };
    return { name, shape, dtype: 'F32', read };
  });
  await writeCheckpoint(folder, own, tensors, { from });
  const path = join(folder, 'tokenizer.json');
  const tokenizer = JSON.parse(readFileSync(path, 'utf8'));
  const { normalizer, parts, ignoreMerges } = preTokenizers[pre];
  Object.assign(tokenizer, { normalizer, pre_tokenizer: { type: 'Sequence', pretokenizers: parts } });
  tokenizer.model.ignore_merges = ignoreMerges;
  writeFileSync(path, JSON.stringify(tokenizer));
}

describe('models that know nothing say here what they say in llama.cpp', () => {
  const blocks = Object.keys(scales) as TensorTypeName[];
  const sequence = { tokens: Array.from({ length: 40 }, (_, i) => (i * 37) % 200), from: 1 };
  const model = join(folder, 'random');
  const file = (type: string) => join(folder, `random-${type}.gguf`);
  let seen: Record<string, number[]>;
  let cut: Record<string, number[][]>;
  beforeAll(async () => {
    const shape = { hiddenSize: 256, intermediateSize: 512, layers: 2, heads: 4, kvHeads: 2, headDim: 64 };
    const { world, close } = await openWorld('shop');
    await initializeCheckpoint(model, { ...shape, tieEmbeddings: false }, world, 1);
    await close();
    const checkpoint = readCheckpoint(model);
    for (const type of types) await writeGguf(file(type), checkpoint, { type, name: 'random' });
    const metadata = ggufMetadata(checkpoint, 'random', 'f32');
    for (const type of blocks) {
      const tensors = checkpoint.tensors.map(({ name, shape, read }): TensorToWrite => {
        const plain = shape.length === 1;
        const bytes = plain ? new Uint8Array(read().buffer) : randomBlocks(type, elements(shape), name);
        return { name: ggufName(name), shape, type: plain ? 'F32' : type, write: fd => writeSync(fd, bytes) };
      });
      await writeGgufFile(file(type), metadata, tensors);
    }
    checkpoint.close();
    for (const given of families) {
      const [family] = given;
      await writeFamily(join(folder, family), model, given);
      const random = readCheckpoint(join(folder, family));
      await writeGguf(file(family), random, { name: family });
      random.close();
    }
    const all = [...types, ...blocks, ...families.map(([family]) => family)];
    const answers = llama(all.map(type => ({ gguf: file(type), sequences: [sequence], texts })));
    seen = Object.fromEntries(all.map((type, i) => [type, answers[i].logprobs[0]]));
    cut = Object.fromEntries(all.map((type, i) => [type, answers[i].cut]));
  }, 120_000);

  test.each(types)('%s: random weights, within 0.05 on average of what they were before', async type => {
    const exact = await ownLogprobs(await engine.sampler(model), sequence);
    const ours = await ownLogprobs(await engine.sampler(file(type)), sequence);
    expect(average(seen[type], exact)).toBeLessThan(0.05);
    expect(average(seen[type], ours)).toBeLessThan(0.05);
    if (type === 'f32') expect(farthest(seen[type], exact)).toBeLessThan(0.01);
  });

  test.each(families)('a %s with its positions scaled: %j', async (family, rope_scaling, pre) => {
    const exact = await ownLogprobs(await engine.sampler(join(folder, family)), sequence);
    expect(farthest(seen[family], exact)).toBeLessThan(0.01);
    // Its positions must matter.
    await writeFamily(join(folder, `${family}-plain`), model, [family, { ...rope_scaling, rope_type: 'default' }, pre]);
    const plain = await ownLogprobs(await engine.sampler(join(folder, `${family}-plain`)), sequence);
    expect(farthest(seen[family], plain)).toBeGreaterThan(0.1);
  });

  test.each(families)('a %s cuts texts into the same tokens: %j, %s', family => {
    for (const checkpoint of [join(folder, family), file(family)]) {
      const chat = loadChat(checkpoint);
      expect(texts.map(text => chat.encode(text))).toEqual(cut[family]);
    }
  });

  test.each(families)('a %s is read back with every bit', async family => {
    const [written, read] = [join(folder, family), file(family)].map(readCheckpoint);
    const { raw: _, ...shape } = written.config;
    const { raw: __, ...again } = read.config;
    expect(again.ropeScaling).toMatchObject(shape.ropeScaling!);
    expect({ ...again, ropeScaling: 0, initializerRange: 0, eosTokenIds: 0 }).toEqual({
      ...{ ...shape, ropeScaling: 0, initializerRange: 0, eosTokenIds: 0 },
      rmsNormEps: expect.closeTo(shape.rmsNormEps, 9),
    });
    // Compared one by one, millions of values would take longer than all else here.
    const digest = ({ name, read }: StoredTensor) => [name, digestOf(read())];
    expect(read.tensors.map(digest)).toEqual(written.tensors.map(digest));
    for (const checkpoint of [written, read]) checkpoint.close();
  });

  test.each(blocks)('%s: blocks of random bytes', async type => {
    const ours = await ownLogprobs(await engine.sampler(file(type)), sequence);
    // They round what is multiplied to 8 bits; a mistake in a block would make another model of it.
    expect(average(seen[type], ours)).toBeLessThan(0.05);
    expect(farthest(ours, Array(ours.length).fill(ours[0]))).toBeGreaterThan(1);
  });
});

function digestOf({ buffer, byteOffset, byteLength }: Float32Array): string {
  return createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex');
}

function randomBlocks(type: TensorTypeName, values: number, name: string): Uint8Array {
  const random = Random.of(type, name);
  const bytes = Uint8Array.from({ length: storedBytes(type, values) }, () => random.below(256));
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < bytes.length; block += tensorTypes[type].bytes) {
    for (const [at, half] of scales[type]!) view.setUint16(block + at, half, true);
  }
  return bytes;
}
