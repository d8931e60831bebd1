import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../../src/engine/local/engine.ts';
import { vllm } from '../../../src/engine/openai/completions.ts';
import { Connection } from '../../../src/engine/openai/connection.ts';
import { OpenAIEngine } from '../../../src/engine/openai/engine.ts';
import { ServedModel } from '../../../src/engine/openai/servedModel.ts';
import type { Sampler, Scorer } from '../../../src/engine/types.ts';
import { Random } from '../../../src/random.ts';
import { type RunningServer, serve } from '../../../src/serve/server.ts';
import { weatherModel } from '../../serve/weatherModel.ts';
import { temporaryFolder } from '../tinyModel.ts';

let checkpoint: string;
let server: RunningServer;
let local: LocalEngine;
let served: OpenAIEngine;

beforeAll(async () => {
  checkpoint = await weatherModel();
  server = await serve({
    checkpoint,
    port: 0,
    apiKey: 'secret',
    maxContext: 1024,
    engine: { dtype: 'f32' },
  });
  local = await LocalEngine.start({ dtype: 'f32' });
  served = await OpenAIEngine.open(server.url, { apiKey: 'secret' });
}, 180_000);
afterAll(async () => {
  await served.close();
  await local.close();
  await server.close(0);
});

function tokens(length: number, name: string): number[] {
  const random = Random.of('tokens', name);
  return Array.from({ length }, () => random.below(300));
}

describe('a served teacher', () => {
  test('says of given tokens, to the last bit, what the local one says, entropies and alternatives too', async () => {
    const sequences = [3, 40, 700, 720, 740].map(length => ({
      // The last ones share a prompt, as the answers of a group do.
      tokens: [...tokens(Math.min(length, 600), 'prompt'), ...tokens(length, `answer ${length}`)].slice(0, length),
      mask: Uint8Array.from({ length }, (_, t) => (t > 1 && t % 3 > 0 ? 1 : 0)),
    }));
    const [here, there]: Scorer[] = [await local.scorer(checkpoint), await served.scorer(checkpoint)];
    expect(await there.score(sequences, 3)).toEqual(await here.score(sequences, 3));
  });
});

test("what vLLM is asked means the same here: its answer is that of a server's own samples", async () => {
  const connection = new Connection(server.url, { apiKey: 'secret' });
  const prompt = tokens(40, 'vllm');
  const sampled = await connection.ask(vllm.sample('weather', prompt, { maxTokens: 12, seed: 4, stop: [7] }));
  const whole = [...prompt, ...sampled.tokens];
  const [scored] = await connection.ask(vllm.score('weather', [{ tokens: whole, from: 1 }], 3));
  sampled.logprobs.forEach((logprob, i) => {
    expect(scored.logprobs[prompt.length + i]).toBeCloseTo(logprob, 5);
  });
  expect(scored.entropies).toBeUndefined();
  const scorer = await local.scorer(checkpoint);
  const [here] = await scorer.score([{ tokens: whole, mask: new Uint8Array(whole.length).fill(1, 1) }], 3);
  expect(scored.alternatives!.tokens).toEqual(here.alternatives!.tokens);
  expect(scored.alternatives!.each).toBe(3);
  connection.close();
});

test('a server whose tokens have other ids than those of the student is refused', async () => {
  const other = join(temporaryFolder(), 'other');
  cpSync(checkpoint, other, { recursive: true });
  const file = join(other, 'tokenizer.json');
  const tokenizer = JSON.parse(readFileSync(file, 'utf8'));
  const { vocab } = tokenizer.model;
  [vocab['7'], vocab['8']] = [vocab['8'], vocab['7']];
  writeFileSync(file, JSON.stringify(tokenizer));
  const message = /^http:\S+ has another tokenizer than \S+: token \d+ is '[78]', where it is '[78]'\. Both must read/;
  await expect(served.scorer(other)).rejects.toThrow(message);
  await expect(served.sampler(other)).rejects.toThrow(message);
});

describe('a served policy', () => {
  const options = { maxTokens: 40, temperature: 1.3, topP: 0.9, topK: 50, stop: [7, 9] };

  test('samples with a seed what the local one samples, with its log-probabilities', async () => {
    const [here, there]: Sampler[] = [await local.sampler(checkpoint), await served.sampler(checkpoint)];
    const prompts = [1, 30, 200].map(length => tokens(length, `sample ${length}`));
    for (const [seed, prompt] of prompts.entries()) {
      expect(await there.generate(prompt, { ...options, seed })).toEqual(
        await here.generate(prompt, { ...options, seed }),
      );
    }
    const greedy = { maxTokens: 30, temperature: 0 };
    expect(await there.generate(prompts[1], greedy)).toEqual(await here.generate(prompts[1], greedy));
  });

  test('goes on with a conversation by the very ids that were sampled', async () => {
    const talk = async (sampler: Sampler) => {
      const conversation = await sampler.open(tokens(20, 'prompt'));
      const completions = [];
      for (let turn = 0; turn < 3; turn++) {
        completions.push(await conversation.generate({ ...options, maxTokens: 20, seed: turn }));
        conversation.append(tokens(5, `observation ${turn}`));
      }
      conversation.close();
      return completions;
    };
    expect(await talk(await served.sampler(checkpoint))).toEqual(await talk(await local.sampler(checkpoint)));
  });

  test('samples nothing where the context is full, and no more than there is room for', async () => {
    const model = await ServedModel.open(server.url, { apiKey: 'secret' });
    expect(model.contextTokens).toBe(server.contextTokens);
    const full = tokens(model.contextTokens - 3, 'full');
    expect((await model.generate(full, { maxTokens: 100, seed: 1 })).tokens).toHaveLength(3);
    expect((await model.generate([...full, 1, 2, 3], { maxTokens: 100 })).tokens).toEqual([]);
    model.close();
  });

  test('is asked for as many sequences at once as is allowed, and answers each as if it were alone', async () => {
    const model = await ServedModel.open(server.url, { apiKey: 'secret', concurrency: 8 });
    const prompts = Array.from({ length: 40 }, (_, i) => tokens(10 + i, `many ${i}`));
    const ask = (prompt: number[], i: number) => model.generate(prompt, { ...options, seed: i });
    const together = await Promise.all(prompts.map(ask));
    for (const [i, prompt] of prompts.entries()) expect(await ask(prompt, i)).toEqual(together[i]);
    model.close();
  });
});
