import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeRandomAdapter } from '../../bench/randomAdapter.ts';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { type RunningServer, type ServeOptions, serve } from '../../src/serve/server.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { weatherModel } from './weatherModel.ts';

const folder = temporaryFolder(afterAll);
const engine = { dtype: 'f32' } as const;
const places = { one: join(folder, 'one'), other: join(folder, 'other') };
const names = ['weather', 'one', 'other'];
let base: string;
let server: RunningServer;

beforeAll(async () => {
  base = await weatherModel();
  await writeRandomAdapter(places.one, base, { rank: 4, seed: 1, deviation: 0.3 });
  await writeRandomAdapter(places.other, base, { rank: 8, seed: 2, deviation: 0.3, targets: ['q_proj', 'down_proj'] });
  server = await serve({ checkpoint: base, lora: named(places), port: 0, engine });
}, 180_000);
afterAll(() => server.close(0));

function named(adapters: Record<string, string>) {
  return Object.entries(adapters).map(([name, path]) => ({ name, path }));
}

interface Answer {
  model: string;
  data: object[];
  choices: { token_ids: number[]; prompt_token_ids: number[] }[];
}

async function ask(path: string, body?: object): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  const request = body && { method: 'POST', headers, body: JSON.stringify(body) };
  return (await (await fetch(server.url + path, request)).json()) as Answer;
}

test('adapters are listed beside the model that they are over', async () => {
  const { data } = await ask('/v1/models');
  expect(data).toMatchObject([
    { id: 'weather', root: base, parent: null },
    { id: 'one', root: places.one, parent: 'weather' },
    { id: 'other', root: places.other, parent: 'weather' },
  ]);
  expect(await ask('/v1/models/other')).toEqual(data[2]);
  const error = { code: 'model_not_found', message: expect.stringContaining('"weather", "one", "other"') };
  expect(await ask('/v1/models/third')).toMatchObject({ error });
  expect(await ask('/v1/completions', { model: 'third', prompt: 'x' })).toMatchObject({ error });
});

test('each answers as the model that it makes alone, merged, whoever asks beside', async () => {
  const prompts = ['How warm is it in Oslo?', 'Say hello.', 'What do you know of Rome?'];
  const options = { max_tokens: 20, temperature: 0, ignore_eos: true, return_token_ids: true };
  const asked = prompts.flatMap(prompt => names.map(model => ({ model, prompt, ...options })));
  const answers = await Promise.all(asked.map(request => ask('/v1/completions', request)));
  expect(answers.map(({ model }) => model)).toEqual(asked.map(({ model }) => model));
  const said = answers.map(({ choices }) => choices[0].token_ids);
  const alone = await LocalEngine.start(engine);
  for (const [m, checkpoint] of [base, places.one, places.other].entries()) {
    const merged = await alone.sampler(checkpoint);
    for (let at = m; at < answers.length; at += names.length) {
      const { tokens } = await merged.generate(answers[at].choices[0].prompt_token_ids, {
        maxTokens: 20,
        temperature: 0,
      });
      expect(said[at]).toEqual(tokens);
    }
  }
  await alone.close();
  for (let at = 0; at < said.length; at += names.length) {
    expect(new Set(said.slice(at, at + names.length).map(tokens => tokens.join())).size).toBe(names.length);
  }
});

test('what cannot be served over the model is refused', async () => {
  const refusal = (options: Partial<ServeOptions>) => serve({ checkpoint: base, port: 0, engine, ...options });
  const copy = join(folder, 'copy');
  cpSync(base, copy, { recursive: true });
  const one = named({ one: places.one });
  await expect(refusal({ lora: [...one, ...one] })).rejects.toThrow(/cannot be served as "one"/);
  await expect(refusal({ lora: named({ weather: places.one }) })).rejects.toThrow(/cannot be served as "weather"/);
  await expect(refusal({ lora: one, checkpoint: copy })).rejects.toThrow(/one is an adapter of .*its own base/);
  await expect(refusal({ lora: named({ copy }) })).rejects.toThrow(/copy holds no adapter/);
  await expect(refusal({ lora: one, weightsFrom: folder })).rejects.toThrow(/--weights-from/);
  const high = await writeRandomAdapter(join(folder, 'high'), base, { rank: 40, seed: 3, deviation: 0.1 });
  await expect(refusal({ lora: named({ high }) })).rejects.toThrow(/has rank 40 at .*: sod serve .*high/);
  const foreign = join(folder, 'foreign');
  cpSync(places.one, foreign, { recursive: true });
  const record = join(foreign, 'base.json');
  writeFileSync(record, readFileSync(record, 'utf8').replace(/"[0-9a-f]{64}"/, `"${'0'.repeat(64)}"`));
  await expect(refusal({ lora: named({ foreign }) })).rejects.toThrow(/trained over other weights/);
});
