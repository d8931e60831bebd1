import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { type RunningServer, serve } from '../../src/serve/server.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { weatherModel } from './weatherModel.ts';

const folder = temporaryFolder(afterAll);
const shared = join(folder, 'shared');
const second = join(shared, 'second');
const f32 = { dtype: 'f32' } as const;
let first: string;
let server: RunningServer;

beforeAll(async () => {
  first = await weatherModel();
  await writeSecond();
  cpSync(first, join(folder, 'elsewhere'), { recursive: true });
  symlinkSync(join(folder, 'elsewhere'), join(shared, 'link'));
  const other = join(shared, 'other-shape');
  cpSync(first, other, { recursive: true });
  const config = JSON.parse(readFileSync(join(other, 'config.json'), 'utf8'));
  writeFileSync(join(other, 'config.json'), JSON.stringify({ ...config, rope_theta: 500_000 }));
  server = await serve({ checkpoint: first, port: 0, weightsFrom: shared, engine: f32 });
}, 180_000);
afterAll(() => server.close(0));

/** The same model after an update. */
async function writeSecond(): Promise<void> {
  const engine = await LocalEngine.start(f32);
  const trainer = await engine.trainer(first);
  await trainer.forwardBackward([{ tokens: prompt, weights: Float32Array.of(0, 1, 1, 1) }], { kind: 'cross_entropy' });
  await trainer.optimStep({ learningRate: 0.1, betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0, clipNorm: 1 });
  await trainer.save(second);
  await engine.close();
}

async function post(path: string, body: object) {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(server.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
  const answer = (await response.json()) as { choices?: { token_ids: number[] }[]; [field: string]: unknown };
  return { ...answer, status: response.status, retryAfter: response.headers.get('retry-after') };
}

const load = (path: string) => post('/update_weights_from_disk', { model_path: path });
const prompt = [5, 9, 20, 14];
const sample = (tokens: number) =>
  post('/v1/completions', {
    model: 'weather',
    prompt,
    max_tokens: tokens,
    seed: 3,
    ignore_eos: true,
    return_token_ids: true,
  });

async function sampledHere(checkpoint: string, tokens: number): Promise<number[]> {
  const engine = await LocalEngine.start(f32);
  const sampler = await engine.sampler(checkpoint);
  const completion = await sampler.generate(prompt, { maxTokens: tokens, seed: 3 });
  await engine.close();
  return completion.tokens;
}

test('what may not be loaded, or cannot, changes nothing', async () => {
  const outside = { status: 403, error: { message: expect.stringMatching(/come from folders in .*shared alone/) } };
  for (const path of [folder, shared, join(folder, 'elsewhere'), join(shared, 'link'), '/nowhere', '../elsewhere']) {
    expect(await load(path)).toMatchObject(outside);
  }
  expect(await load(join(shared, 'nothing'))).toMatchObject({ status: 400, error: { param: 'model_path' } });
  expect(await load(join(shared, 'other-shape'))).toMatchObject({
    status: 400,
    error: { message: expect.stringContaining('another shape') },
  });
  expect(await post('/update_weights_from_disk', {})).toMatchObject({ status: 400, error: { param: 'model_path' } });
  expect((await sample(20)).choices![0].token_ids).toEqual(await sampledHere(first, 20));
});

test('answers under way end as they began, who comes meanwhile is to come again, then all is as of the new weights', async () => {
  const long = 800;
  const underWay = sample(long);
  const isInside = async () => /^sod_sequences_running 1$/m.test(await (await fetch(`${server.url}/metrics`)).text());
  while (!(await isInside())) await sleep(5);
  const loading = load(second);
  await sleep(50);
  const busy = { status: 503, retryAfter: '1', error: { code: 'server_busy' } };
  expect(await sample(1)).toMatchObject(busy);
  expect(await load(second)).toMatchObject(busy);
  expect((await underWay).choices![0].token_ids).toEqual(await sampledHere(first, long));
  expect(await loading).toMatchObject({ status: 200, success: true });
  expect((await sample(20)).choices![0].token_ids).toEqual(await sampledHere(second, 20));
});
