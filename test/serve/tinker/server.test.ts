import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { LocalEngine } from '../../../src/engine/local/engine.ts';
import { dialects } from '../../../src/engine/tinker/dialect.ts';
import { forwardBackwardRequest, protobufType } from '../../../src/engine/tinker/messages.ts';
import { wireDatum } from '../../../src/engine/tinker/trainingData.ts';
import { serveTinker, type TinkerServeOptions } from '../../../src/serve/tinker/server.ts';
import { randomTokens, temporaryFolder, writeTinyModel } from '../../engine/tinyModel.ts';

const folder = temporaryFolder(afterAll);
const checkpoints = [await writeTinyModel(join(folder, 'one'), 1), await writeTinyModel(join(folder, 'two'), 2)];

/** A client without an SDK: what it asks, as it goes over the wire. */
async function start(options: Partial<TinkerServeOptions> = {}) {
  const server = await serveTinker({
    checkpoints,
    stateFolder: join(folder, 'state'),
    port: 0,
    engine: { dtype: 'f32', threads: 1 },
    ...options,
  });
  onTestFinished(() => server.close());
  const post = async (path: string, body: object | Uint8Array, headers: Record<string, string> = {}) => {
    const isMessage = body instanceof Uint8Array;
    const response = await fetch(`${server.url}/api/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': isMessage ? protobufType : 'application/json', ...headers },
      body: isMessage ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body),
    });
    // biome-ignore lint/suspicious/noExplicitAny: whatever the server says
    return { status: response.status, json: (await response.json()) as any };
  };
  /** What a request comes to. */
  const ask = async (path: string, body: object | Uint8Array) => {
    const { status, json } = await post(path, body);
    if (status !== 200) throw new Error(`${status} ${json.detail}`);
    return (await post('retrieve_future', { request_id: json.request_id })).json;
  };
  const session = async () => (await post('create_session', {})).json.session_id;
  const model = async (session_id: string, base_model = 'one', model_seq_id = 0) =>
    (await ask('create_model', { session_id, base_model, model_seq_id })).model_id;
  return { ...server, post, ask, session, model };
}

function learning(modelId: string, seqId: number, tokens = randomTokens(20, 'learn'), lossFn = 'cross_entropy') {
  const datum = { tokens, weights: new Float32Array(tokens.length).fill(1, 1) };
  return forwardBackwardRequest.encode({
    modelId,
    seqId,
    data: [wireDatum(datum, { kind: 'cross_entropy' }, dialects.sod, 1)],
    lossFn,
  });
}

const step = (model_id: string, seq_id: number, learning_rate = 1e-3) => ({
  model_id,
  seq_id,
  adam_params: { learning_rate },
});

test('a request that comes twice is done once; another under its number is refused', async () => {
  const { post, ask, session, model } = await start();
  const id = await model(await session());
  const loss = async (seq: number) => (await ask('forward_backward', learning(id, seq))).metrics['loss:sum'];
  const before = await loss(1);
  const updates = await Promise.all([1, 2, 3].map(() => post('optim_step', step(id, 2))));
  expect(new Set(updates.map(({ json }) => json.request_id)).size).toBe(1);
  const once = await loss(3);
  await ask('optim_step', step(id, 2));
  expect(await loss(4)).toBe(once);
  expect(once).toBeLessThan(before);
  expect(await post('optim_step', step(id, 2, 1))).toEqual({
    status: 409,
    json: { detail: 'Another request had seq_id 2.' },
  });
});

test('models are trained side by side, and are gone when they are unloaded or their client falls silent', async () => {
  const { post, ask, session, model } = await start({ sessionTimeoutMs: 5000 });
  const client = await session();
  const [one, two] = [await model(client, 'one', 0), await model(client, 'two', 1)];
  expect(await model(client, 'one', 0)).toBe(one);
  const loss = async (id: string, seq: number) =>
    (await ask('forward_backward', learning(id, seq))).metrics['loss:sum'];
  const [first, second] = [await loss(one, 1), await loss(two, 1)];
  await ask('optim_step', step(one, 2));
  expect(await loss(two, 2)).toBe(second);
  expect(await loss(one, 3)).toBeLessThan(first);

  await ask('unload_model', { model_id: one });
  expect((await post('optim_step', step(one, 4))).status).toBe(404);
  await new Promise(resolve => setTimeout(resolve, 8000));
  expect((await post('optim_step', step(two, 3))).json.detail).toMatch(/There is no model/);
  expect((await post('session_heartbeat', { session_id: client })).status).toBe(404);
});

test('samples come from the weights that were asked for, or not at all', async () => {
  const { url, post, ask, session, model } = await start();
  const id = await model(await session());
  const { sampling_session_id } = await ask('save_weights_for_sampler', {
    model_id: id,
    seq_id: 1,
    sampling_session_seq_id: 0,
  });
  const { path } = await ask('save_weights_for_sampler', { model_id: id, seq_id: 2, path: 'kept' });
  const sample = {
    prompt: { chunks: [{ type: 'encoded_text', tokens: randomTokens(5, 'prompt') }] },
    sampling_params: { max_tokens: 6, seed: 3, stop: [] },
    num_samples: 2,
    prompt_logprobs: true,
  };
  const sampler = await fetch(`${url}/api/v1/samplers/${sampling_session_id}`);
  expect(await sampler.json()).toEqual({ sampler_id: sampling_session_id, base_model: 'one' });
  const live = await ask('asample', { ...sample, sampling_session_id, seq_id: 0 });
  expect(live.sequences).toHaveLength(2);
  expect(live.sequences[0].tokens).toHaveLength(6);
  expect(live.prompt_logprobs).toEqual([null, ...Array(4).fill(expect.any(Number))]);
  await ask('forward_backward', learning(id, 3));
  await ask('optim_step', step(id, 4));
  const stale = await post('asample', { ...sample, sampling_session_id, seq_id: 1 });
  expect(stale).toMatchObject({ status: 400, json: { detail: /have been updated/ } });
  expect(await ask('asample', { ...sample, model_path: path })).toEqual(live);
});

test('adapters are trained over a base as the local engine trains them, saved as such and loaded again', async () => {
  const { post, ask, session } = await start();
  const session_id = await session();
  const create = (model_seq_id: number, lora_config: object) =>
    ask('create_model', { session_id, base_model: 'one', model_seq_id, lora_config });
  const adapters = { rank: 4, seed: 7, train_unembed: true, train_mlp: false };
  const [first, second, whole] = await Promise.all([
    create(0, adapters),
    create(1, { rank: 2 }),
    create(2, { rank: 0 }),
  ]);
  expect([first, second, whole]).toMatchObject([
    { is_lora: true, lora_rank: 4 },
    { is_lora: true, lora_rank: 2 },
    { is_lora: false, lora_rank: 0 },
  ]);
  const loss = async (id: string, seq: number) =>
    (await ask('forward_backward', learning(id, seq))).metrics['loss:sum'];
  const engine = await LocalEngine.start({ dtype: 'f32', threads: 1 });
  onTestFinished(() => engine.close());
  const lora = { rank: 4, alpha: 32, targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj'] as const, seed: 7 };
  const here = await engine.trainer(checkpoints[0], lora);
  const adam = {
    learningRate: 1e-3,
    betas: [0.9, 0.95] as [number, number],
    epsilon: 1e-12,
    weightDecay: 0,
    clipNorm: 0,
  };
  const tokens = randomTokens(20, 'learn');
  const data = [{ tokens, weights: new Float32Array(tokens.length).fill(1, 1) }];
  for (let update = 0; update < 3; update++) {
    const told = await loss(first.model_id, 2 * update + 1);
    expect(told).toBe((await here.forwardBackward(data, { kind: 'cross_entropy' })).loss);
    await ask('optim_step', step(first.model_id, 2 * update + 2));
    await here.optimStep(adam);
  }
  expect(await loss(second.model_id, 1)).toBe(await loss(whole.model_id, 1));

  const { path } = await ask('save_weights', { model_id: first.model_id, seq_id: 7, path: 'third' });
  expect((await post('weights_info', { tinker_path: path })).json).toMatchObject({ is_lora: true, lora_rank: 4 });
  const again = await ask('load_weights', { session_id, model_seq_id: 3, path, optimizer: true });
  expect(await loss(again.model_id, 1)).toBe(await loss(first.model_id, 8));
  const fresh = await ask('load_weights', { session_id, model_seq_id: 4, path });
  expect(await loss(fresh.model_id, 1)).toBe(await loss(again.model_id, 2));
  await ask('load_weights', { model_id: whole.model_id, seq_id: 2, path });
  expect(await loss(whole.model_id, 3)).toBeCloseTo(await loss(again.model_id, 3), 3);
  const other = await ask('load_weights', { model_id: second.model_id, seq_id: 2, path });
  expect(other.error).toMatch(/another rank, alpha or other targets/);

  const sampling = { num_samples: 1, prompt: { chunks: [{ type: 'encoded_text', tokens: [1, 2, 3] }] } };
  const sampling_params = { max_tokens: 12, seed: 3 };
  const saved = await ask('save_weights_for_sampler', { model_id: first.model_id, seq_id: 9, path: 'said' });
  const said = await ask('asample', { ...sampling, model_path: saved.path, sampling_params });
  const own = await (await here.sampler()).generate([1, 2, 3], { maxTokens: 12, seed: 3 });
  expect(said.sequences[0].tokens).toEqual(own.tokens);
});

test('a checkpoint that is deleted is gone, and no other', async () => {
  const { url, ask, session, model } = await start();
  const id = await model(await session());
  const paths: string[] = [];
  for (const [seq_id, path] of ['old', 'new'].entries()) {
    paths.push((await ask('save_weights', { model_id: id, seq_id, path })).path);
  }
  const of = (path: string) =>
    `${url}/api/v1/training_runs/${path.replace('tinker://', '').replace('/', '/checkpoints/')}`;
  const deleted = async (path: string) => (await fetch(of(path), { method: 'DELETE' })).status;
  expect(await deleted(paths[0])).toBe(204);
  expect(await deleted(paths[0])).toBe(404);
  const list = await fetch(`${url}/api/v1/training_runs/${id}/checkpoints`);
  expect(await list.json()).toMatchObject({ checkpoints: [{ checkpoint_id: 'weights/new' }] });
  const lost = await ask('load_weights', { model_id: id, seq_id: 5, path: paths[0], optimizer: true });
  expect(lost).toMatchObject({ category: 'user', error: expect.stringContaining('There is no checkpoint') });
});

test('an update is refused where a part of its batch failed', async () => {
  const { ask, session, model } = await start();
  const id = await model(await session());
  const saved = await ask('save_weights', { model_id: id, seq_id: 1, path: 'start' });
  const datum = { tokens: randomTokens(9, 'bad'), weights: new Float32Array(9).fill(1e38, 1) };
  const data = [wireDatum(datum, { kind: 'cross_entropy' }, dialects.sod, 1)];
  await ask(
    'forward_backward',
    forwardBackwardRequest.encode({ modelId: id, seqId: 2, data, lossFn: 'cross_entropy' }),
  );
  const failed = await ask('optim_step', step(id, 3));
  expect(failed).toMatchObject({ category: 'user', error: expect.stringContaining('the gradient is not finite') });
  await ask('load_weights', { model_id: id, seq_id: 4, path: saved.path, optimizer: true });
  await ask('forward_backward', learning(id, 5));
  expect(await ask('optim_step', step(id, 6))).toEqual({ metrics: { grad_norm: expect.any(Number) } });
});

test.each<[path: string, body: object, status: number, detail: string]>([
  ['forward_backward', {}, 415, 'takes a protobuf body'],
  ['forward_backward', new Uint8Array([1, 2, 3]), 400, 'no ForwardBackwardRequest'],
  ['forward_backward', learning('nobody', 1), 404, 'There is no model "nobody"'],
  ['create_model', { session_id: 'x', base_model: 'three' }, 400, 'there are one, two'],
  ['create_model', { session_id: 'x', base_model: 'one' }, 404, 'There is no session "x"'],
  ['optim_step', { model_id: 'm', adam_params: { beta1: 2 } }, 422, 'adam_params.beta1'],
  ['save_weights', { model_id: 'm', path: '../outside' }, 422, 'letters, digits, _ and -'],
  ['save_weights_for_sampler', { model_id: 'm' }, 422, 'path: must be a name, or sampling_session_seq_id be given'],
  ['weights_info', { tinker_path: 'tinker://../../etc' }, 404, 'There is no checkpoint'],
  ['asample', { prompt: { chunks: [] } }, 400, 'Give either base_model or model_path'],
  ['retrieve_future', { request_id: 'never' }, 404, 'There is no request "never" under way'],
])('%s is refused where it makes no sense (%#)', async (path, body, status, detail) => {
  const { post } = await start();
  expect(await post(path, body)).toEqual({ status, json: { detail: expect.stringContaining(detail) } });
});

test('training data that makes no sense is refused with the place', async () => {
  const { post, session, model } = await start();
  const id = await model(await session());
  const refused = async (request: Uint8Array) => (await post('forward_backward', request)).json.detail;
  expect(await refused(learning(id, 1, [1, 2, 9999]))).toContain('data[0]: there is no token 9999');
  expect(await refused(learning(id, 2, [1, 2], 'cispo'))).toContain(
    'there are cross_entropy, importance_sampling and ppo',
  );
  expect(await refused(learning(id, 3, [1, 2], 'ppo'))).toContain('data[0]: ppo needs logprobs and advantages');
});

test('asks for its key, and takes no more than it says', async () => {
  const { post } = await start({ apiKey: 'tml-secret', maxBodyBytes: 1000 });
  expect((await post('create_session', {})).status).toBe(401);
  const key = { 'x-api-key': 'tml-secret' };
  expect((await post('create_session', {}, key)).status).toBe(200);
  expect((await post('create_session', { tags: ['x'.repeat(2000)] }, key)).status).toBe(413);
});
