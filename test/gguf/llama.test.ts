import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { demoSized, writeRandomQwen3 } from '../../bench/randomQwen3.ts';
import { LocalEngine, type LocalSampler } from '../../src/engine/local/engine.ts';
import { writeGguf } from '../../src/gguf/write.ts';
import { readCheckpoint } from '../../src/model/checkpoint.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { initializeCheckpoint } from '../../src/train/initialize.ts';
import { openWorld } from '../../src/worlds/open.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const peers = fileURLToPath(new URL('../../bench/engine/peers/', import.meta.url));
const folder = temporaryFolder(afterAll);
let engine: LocalEngine;

beforeAll(async () => {
  if (!existsSync(join(peers, 'node_modules/node-llama-cpp'))) {
    execFileSync('npm', ['install', '--no-save', '--ignore-scripts', '--loglevel=error'], {
      cwd: peers,
      stdio: 'ignore',
    });
  }
  engine = await LocalEngine.start({ dtype: 'f32' });
}, 300_000);
afterAll(() => engine.close());

interface Request {
  texts: string[];
  sequences: number[][];
  prompts: number[][];
  steps: number;
}

function llama(gguf: string, request: Request) {
  const said = execFileSync(
    process.execPath,
    [join(peers, 'llamaAgreement.js'), JSON.stringify({ gguf, ...request })],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  return JSON.parse(said) as { cut: number[][]; logprobs: number[][]; greedy: number[][]; template: string };
}

// llama.cpp does not compose characters (NFC), and takes `<tool_call>` for a token in any text: neither is in these.
const texts = [
  'How warm is it in Oslo?',
  ' 12345 + 67.8 = ?\n\n\tdef f(x):\n\t\treturn x**2  # “ok”',
  'Grüße aus 東京 😀👩‍👩‍👧 — naïve\u00a0…',
  "it's WE'RE don't  I'll\r\n\r\n   spaces   \n",
  '<|im_end|> as text? {"name": "x"}',
];

async function ownLogprobs(sampler: LocalSampler, tokens: number[]): Promise<number[]> {
  const [{ logprobs }] = await sampler.score([{ tokens, mask: new Uint8Array(tokens.length).fill(1) }]);
  return [...logprobs.subarray(1)];
}

const average = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;
const farthest = (a: number[], b: number[]) => Math.max(...a.map((value, i) => Math.abs(value - b[i])));

describe.each([
  [
    "the demo's tokenizer",
    async () => {
      const model = join(folder, 'demo');
      const shape = { hiddenSize: 160, intermediateSize: 320, layers: 4, heads: 4, kvHeads: 2, headDim: 32 };
      const { world, close } = await openWorld('shop');
      await initializeCheckpoint(model, { ...shape, tieEmbeddings: true }, world, 1);
      await close();
      return model;
    },
  ],
  [
    "Qwen3's tokenizer",
    async () => {
      const model = join(folder, 'qwen3');
      // Larger steps between the logits than a fresh model has: what is greedy must not be a matter of rounding.
      await writeRandomQwen3(model, { ...demoSized, vocab_size: 151_936, initializer_range: 0.05 });
      return model;
    },
  ],
])('llama.cpp and this engine agree: %s', (name, makeModel) => {
  let model: string;
  let sampler: LocalSampler;
  const file = (type: string) => join(folder, `${name.replaceAll(/\W/g, '')}-${type}.gguf`);
  beforeAll(async () => {
    model = await makeModel();
    sampler = await engine.sampler(model);
    const checkpoint = readCheckpoint(model);
    for (const type of ['f32', 'f16', 'bf16', 'q8_0'] as const)
      writeGguf(file(type), checkpoint, { type, name: 'model' });
    checkpoint.close();
  }, 180_000);

  test('f32: tokens of texts, greedy continuation, log-probabilities', async () => {
    const chat = loadChat(model);
    const prompts = texts.slice(0, 3).map(content => chat.prompt([{ role: 'user', content }], []));
    const seen = llama(file('f32'), { texts, sequences: prompts, prompts, steps: 64 });
    expect(seen.cut).toEqual(texts.map(text => chat.encode(text)));
    expect(seen.template).toContain('<|im_start|>');
    for (const [i, prompt] of prompts.entries()) {
      const { tokens } = await sampler.generate(prompt, { maxTokens: 64, temperature: 0 });
      const ended = seen.greedy[i].length;
      expect(seen.greedy[i]).toEqual(tokens.slice(0, ended));
      expect(ended === 64 || chat.stopTokens.includes(tokens[ended - 1])).toBe(true);
      // It keeps keys and values in float16.
      expect(farthest(seen.logprobs[i], await ownLogprobs(sampler, prompt))).toBeLessThan(0.01);
    }
  });

  test.each(['f16', 'bf16', 'q8_0'])(
    '%s: log-probabilities within 0.05 on average, as llama.cpp reads the file and as we do',
    async type => {
      const chat = loadChat(model);
      const prompt = chat.prompt([{ role: 'user', content: texts[0] }], []);
      const { tokens } = await sampler.generate(prompt, { maxTokens: 20, seed: 1 });
      const whole = [...prompt, ...tokens];
      const exact = await ownLogprobs(sampler, whole);
      const [theirs] = llama(file(type), { texts: [], sequences: [whole], prompts: [], steps: 0 }).logprobs;
      const ours = await ownLogprobs(await engine.sampler(file(type)), whole);
      expect(average(theirs, exact)).toBeLessThan(0.05);
      expect(average(theirs, ours)).toBeLessThan(0.05);
      expect(loadChat(file(type)).prompt([{ role: 'user', content: texts[0] }], [])).toEqual(prompt);
    },
  );
});
