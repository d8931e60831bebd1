import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { OpenAIEngine } from '../../../src/engine/openai/engine.ts';
import { ServedModel } from '../../../src/engine/openai/servedModel.ts';
import { UserError } from '../../../src/errors.ts';
import { Random } from '../../../src/random.ts';
import { type RunningServer, serve } from '../../../src/serve/server.ts';
import { type FaultyProxy, faults, faultyProxy, sometimes } from '../../http/faultyProxy.ts';
import { weatherModel } from '../../serve/weatherModel.ts';

let checkpoint: string;
let server: RunningServer;
let proxy: FaultyProxy;

beforeAll(async () => {
  checkpoint = await weatherModel();
  server = await serve({ checkpoint, port: 0, maxContext: 1024, engine: { dtype: 'f32' } });
  proxy = await faultyProxy(server.url);
}, 180_000);
afterAll(async () => {
  await proxy.close();
  await server.close(0);
});

const prompt = (i: number) => [1, 2, 3, 4, 5, 6 + i];
const options = (seed: number) => ({ maxTokens: 10, seed });

async function open(url: string, more: object = {}): Promise<ServedModel> {
  const model = await ServedModel.open(url, more);
  onTestFinished(() => model.close());
  return model;
}

test('whatever goes wrong on the way, each request gets its answer, and the person is told', async () => {
  const notices: string[] = [];
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const { signal } = new AbortController();
  const direct = await open(server.url);
  const shaken = await open(proxy.url, { signal, onNotice: (notice: string) => notices.push(notice) });
  proxy.next = sometimes(Random.of('faults'), 0.4);
  const count = 60;
  const numbers = Array.from({ length: count }, (_, i) => i);
  const sampled = await Promise.all(numbers.map(i => shaken.generate(prompt(i), options(i))));
  const sequences = numbers.map(i => ({
    tokens: [...prompt(i), ...sampled[i].tokens],
    mask: new Uint8Array(16).fill(1),
  }));
  const scores = await Promise.all(sequences.map(sequence => shaken.score([sequence])));
  proxy.next = () => undefined;
  for (const i of numbers) expect(sampled[i]).toEqual(await direct.generate(prompt(i), options(i)));
  for (const i of numbers) expect(scores[i]).toEqual(await direct.score([sequences[i]]));
  expect([...proxy.made.keys()].sort()).toEqual([...faults].sort());
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
  expect(notices.length).toBeGreaterThan(0);
  for (const notice of notices) {
    expect(notice).toMatch(/^http:\S+ (answered|cannot be reached).*: trying again until it answers$/);
  }
});

test('a server that restarts is waited for', async () => {
  const model = await open(proxy.url);
  let refusals = 0;
  proxy.next = () => (refusals++ < 3 ? 'cut before' : undefined);
  expect((await model.generate(prompt(0), options(0))).tokens.length).toBeGreaterThan(0);
  expect(refusals).toBe(4);
});

test('a server that never answers is given up, in its own words', async () => {
  const model = await open(proxy.url, { patienceMs: 600 });
  onTestFinished(() => {
    proxy.next = () => undefined;
  });
  proxy.next = () => 'failed';
  await expect(model.generate(prompt(0), options(0))).rejects.toThrow(
    /^http:\S+ answered 500 \(something went wrong\), for 0.01 minutes now: see what it says itself$/,
  );
  proxy.next = () => 'busy';
  await expect(model.generate(prompt(0), options(0))).rejects.toThrow(/answered 429 \(come back later\), for 0.01/);
});

test('whoever waits for a server can stop', async () => {
  const controller = new AbortController();
  const model = await open(proxy.url, { signal: controller.signal });
  onTestFinished(() => {
    proxy.next = () => undefined;
  });
  proxy.next = () => {
    setTimeout(() => controller.abort(), 20);
    return 'busy';
  };
  const sequence = { tokens: prompt(0), mask: Uint8Array.of(0, 0, 0, 1, 1, 1) };
  await expect(model.score([sequence])).rejects.toMatchObject({ name: 'AbortError' });
  const own = new AbortController();
  const sampling = model.generate(prompt(0), options(0), own.signal);
  own.abort();
  await expect(sampling).rejects.toMatchObject({ name: 'AbortError' });
});

test('what a request is refused for is said at once, in the words of the server', async () => {
  const model = await open(server.url);
  await expect(model.generate([1_000_000], options(0))).rejects.toThrow(
    /^http:\S+: answered 400 \(prompt: there is no token 1000000; the last is \d+\)$/,
  );
  await expect(open(`${server.url}#another`)).rejects.toThrow(/^http:\S+: it has no model another; it has weather$/);
  const locked = await serve({ checkpoint, port: 0, apiKey: 'secret' });
  onTestFinished(() => locked.close(0));
  await expect(open(locked.url)).rejects.toThrow(/answered 401 .*: set SOD_API_KEY to the key that it asks for$/);
  await expect(open(locked.url, { apiKey: 'guess' })).rejects.toThrow(/set SOD_API_KEY to another key$/);
});

test('what is no server of this kind is named', async () => {
  await expect(open('gpu-7:8000')).rejects.toThrow(UserError);
  const page = await fake(() => undefined);
  await expect(open(page)).rejects.toThrow(/answers with text\/html, not JSON: it is no server of OpenAI's API$/);
});

/** How some servers would answer that read ids as text, and spell and read that again. */
const reTokenizing: Record<string, (body: { prompt: number[][] }) => object> = {
  'with more tokens': ({ prompt }) => ({
    prompt_logprobs: [null, ...prompt[0], 5].map(id => (id === null ? null : { [id]: { logprob: -1 } })),
  }),
  'with other tokens': ({ prompt }) => ({
    prompt_logprobs: prompt[0].map((_, i) => (i === 0 ? null : { 90210: { logprob: -1 } })),
  }),
};

test.each(Object.keys(reTokenizing))('a server that answers %s than it was sent is refused', async kind => {
  const url = await fake((path, body) =>
    path === '/v1/models'
      ? { data: [{ id: 'other', owned_by: 'someone' }] }
      : { choices: [reTokenizing[kind](body as { prompt: number[][] })] },
  );
  const engine = await OpenAIEngine.open(url);
  onTestFinished(() => engine.close());
  await expect(engine.scorer(checkpoint)).rejects.toThrow(
    /^http:\S+: it re-tokenizes: (\d+ tokens were sent and \d+ came back|token 1 was \d+ and came back as 90210)\. .* asked about the tokens of /,
  );
});

test('a server that tells no log-probabilities of prompts is refused', async () => {
  const url = await fake(path =>
    path === '/v1/models' ? { data: [{ id: 'other' }] } : { choices: [{ text: 'Hello', finish_reason: 'stop' }] },
  );
  const engine = await OpenAIEngine.open(url);
  onTestFinished(() => engine.close());
  await expect(engine.scorer(checkpoint)).rejects.toThrow(
    /its answer lacks what was asked for \(choices\.0\.prompt_logprobs/,
  );
});

/** A server that answers what it is told, or a web page. */
async function fake(answer: (path: string, body: unknown) => object | undefined): Promise<string> {
  const fakeServer = createServer(async (incoming, outgoing) => {
    let body = '';
    for await (const chunk of incoming) body += chunk;
    const content = answer(incoming.url!, body && JSON.parse(body));
    outgoing.setHeader('content-type', content ? 'application/json' : 'text/html');
    outgoing.end(content ? JSON.stringify(content) : '<html></html>');
  });
  await new Promise<void>(resolve => fakeServer.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    fakeServer.close();
    fakeServer.closeAllConnections();
  });
  return `http://127.0.0.1:${(fakeServer.address() as AddressInfo).port}`;
}
