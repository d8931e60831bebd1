import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningServer, type ServeOptions, serve } from '../../src/serve/server.ts';
import { weatherModel } from './weatherModel.ts';

let checkpoint: string;
let server: RunningServer;
const failures: Error[] = [];
const start = (options: Partial<ServeOptions> = {}) =>
  serve({
    checkpoint,
    port: 0,
    engine: { dtype: 'f32', maxBatch: 4 },
    maxQueue: 2,
    onError: error => failures.push(error),
    ...options,
  });

beforeAll(async () => {
  checkpoint = await weatherModel();
  server = await start();
}, 180_000);
afterAll(() => server.close());

/** A text that goes on until somebody ends it: the stop tokens are not within the grammar for long. */
const endless = {
  model: 'weather',
  prompt: 'x',
  max_tokens: 30_000,
  response_format: {
    type: 'json_schema',
    json_schema: { name: 'long', schema: { type: 'array', minItems: 10_000, items: { type: 'boolean' } } },
  },
};

const json = { 'content-type': 'application/json' };

function post(url: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(`${url}/v1/completions`, { method: 'POST', headers: json, body: JSON.stringify(body), signal });
}

/** The head of a completion request on the wire. */
function upload(bytes: number): string {
  const headers = ['host: localhost', 'content-type: application/json', `content-length: ${bytes}`];
  return `POST /v1/completions HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`;
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{.*\\})? (.*)$`, 'm').exec(text)![1]);
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(20);
}

test.each([true, false])('a client that goes away frees its sequence (streamed: %s)', async stream => {
  const client = new AbortController();
  const answer = post(server.url, { ...endless, stream }, client.signal);
  answer.catch(() => {});
  await until(async () => (await metric(server.url, 'sod_sequences_running')) === 1);
  const before = await metric(server.url, 'sod_clients_gone_total');
  if (stream) {
    const reader = (await answer).body!.getReader();
    await reader.read();
    client.abort();
    await expect(reader.read()).rejects.toThrow();
  } else {
    client.abort();
    await expect(answer).rejects.toThrow();
  }
  await until(async () => (await metric(server.url, 'sod_sequences_running')) === 0);
  expect(await metric(server.url, 'sod_cache_held_tokens')).toBe(0);
  expect(await metric(server.url, 'sod_clients_gone_total')).toBe(before + 1);
});

test('a client that goes away while its prompt is scored frees it, and others are not kept waiting', async () => {
  const client = new AbortController();
  const long = { model: 'weather', prompt: Array(30_000).fill(5), prompt_logprobs: 3, max_tokens: 0 };
  const scores = post(server.url, long, client.signal);
  scores.catch(() => {});
  await until(async () => (await metric(server.url, 'sod_sequences_running')) === 1);
  expect((await post(server.url, { model: 'weather', prompt: 'x', max_tokens: 3 })).status).toBe(200);
  expect(await metric(server.url, 'sod_sequences_running')).toBe(1);
  client.abort();
  await expect(scores).rejects.toThrow();
  await until(async () => (await metric(server.url, 'sod_sequences_running')) === 0);
  expect(await metric(server.url, 'sod_cache_held_tokens')).toBe(0);
});

test('a client that does not read its answer is let go, and its answer ended', async () => {
  const before = await metric(server.url, 'sod_clients_gone_total');
  const body = JSON.stringify({ ...endless, n: 4, stream: true, logprobs: 20 });
  const head = upload(body.length);
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.write(head + body));
  socket.pause().on('error', () => {});
  await until(async () => (await metric(server.url, 'sod_clients_gone_total')) > before);
  await until(async () => (await metric(server.url, 'sod_sequences_running')) === 0);
  socket.destroy();
});

test('a client that goes away in the middle of its request is counted, and nothing is said to have failed', async () => {
  const before = await metric(server.url, 'sod_clients_gone_total');
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => {
    socket.write(`${upload(1000)}{"model":`, () => socket.destroy());
  });
  await until(async () => (await metric(server.url, 'sod_clients_gone_total')) > before);
  expect(failures).toEqual([]);
  const text = await (await fetch(`${server.url}/metrics`)).text();
  expect(text).toMatch(/^sod_requests_total\{route="\/v1\/completions",status="499"\} \d+$/m);
  expect(text).not.toMatch(/status="5\d\d"/);
});

test('a client that goes away while its request is read gets no answer made', async () => {
  const before = await metric(server.url, 'sod_clients_gone_total');
  const body = JSON.stringify({ ...endless, prompt: 'x '.repeat(10_000), max_tokens: 5000 });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => {
    socket.write(upload(body.length) + body, () => socket.destroy());
  });
  await until(async () => (await metric(server.url, 'sod_clients_gone_total')) > before);
  await until(async () => (await metric(server.url, 'sod_sequences_running')) === 0);
  expect(failures).toEqual([]);
});

test('more sequences than are ever let in are no matter of waiting', async () => {
  const answer = await post(server.url, { model: 'weather', prompt: 'x', n: 7 });
  expect(answer.status).toBe(400);
  expect(await answer.json()).toMatchObject({ error: { message: expect.stringContaining('takes 6 at a time') } });
});

test('a request of many sequences gives Node no cause to warn of listeners', async () => {
  const roomy = await start({ maxQueue: 60 });
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const answer = await post(roomy.url, {
    model: 'weather',
    prompt: 'x',
    n: 30,
    max_tokens: 2,
    logprobs: 1,
    echo: true,
  });
  expect(answer.status).toBe(200);
  await sleep(10);
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
  await roomy.close();
});

test('more than the queue takes is sent away, and let in when there is room', async () => {
  const clients = new AbortController();
  const inside = Array.from({ length: 6 }, () => post(server.url, endless, clients.signal));
  for (const answer of inside) answer.catch(() => {});
  await until(async () => (await metric(server.url, 'sod_sequences_running')) === 4);
  await until(async () => (await metric(server.url, 'sod_sequences_waiting')) === 2);
  const refused = await post(server.url, { model: 'weather', prompt: 'x' });
  expect(refused.status).toBe(429);
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(await refused.json()).toMatchObject({ error: { type: 'rate_limit_error', code: 'server_busy' } });
  clients.abort();
  await until(async () => (await post(server.url, { model: 'weather', prompt: 'x' })).status === 200);
});

test('a body has a limit, also where its length is not said', async () => {
  const large = JSON.stringify({ model: 'weather', prompt: 'x'.repeat(2 ** 20) });
  const plain = await fetch(`${server.url}/v1/completions`, { method: 'POST', headers: json, body: large });
  expect(plain.status).toBe(413);
  const chunks = new ReadableStream({
    pull(controller) {
      controller.enqueue(new TextEncoder().encode('x'.repeat(2 ** 16)));
    },
  });
  const endlessBody = { method: 'POST', headers: json, body: chunks, duplex: 'half' } as RequestInit;
  const chunked = await fetch(`${server.url}/v1/completions`, endlessBody).then(
    ({ status }) => status,
    () => 413,
  );
  expect(chunked).toBe(413);
});

test('it closes when the answers under way are complete, and lets nobody else in', async () => {
  const closing = await start();
  const answer = post(closing.url, { ...endless, max_tokens: 1500 });
  await until(async () => (await metric(closing.url, 'sod_sequences_running')) === 1);
  const closed = closing.close();
  expect((await answer).status).toBe(200);
  await closed;
  await expect(fetch(`${closing.url}/health`)).rejects.toThrow();
});

test('what takes longer than it may is ended, and told so', async () => {
  const closing = await start();
  const answer = post(closing.url, { ...endless, stream: true });
  await until(async () => (await metric(closing.url, 'sod_sequences_running')) === 1);
  const closed = closing.close(100);
  const text = await (await answer).text();
  expect(text).toContain('"code":"shutting_down"');
  await closed;
});

test('a port that is taken is an error that says so', async () => {
  const port = Number(new URL(server.url).port);
  await expect(start({ port })).rejects.toThrow(/another program has that port/);
});

test('on this machine alone, unless told otherwise', async () => {
  expect(new URL(server.url).hostname).toBe('127.0.0.1');
  const { createConnection } = await import('node:net');
  const { networkInterfaces } = await import('node:os');
  const outside = Object.values(networkInterfaces())
    .flat()
    .find(address => address && !address.internal && address.family === 'IPv4');
  if (!outside) return;
  const socket = createConnection({ host: outside.address, port: Number(new URL(server.url).port) });
  const [error] = await once(socket, 'error');
  expect(error).toMatchObject({ code: 'ECONNREFUSED' });
});
