import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../../src/random.ts';
import { type RunningServer, serve } from '../../src/serve/server.ts';
import { weatherModel, weatherTool } from './weatherModel.ts';

let server: RunningServer;
const failures: Error[] = [];
beforeAll(async () => {
  server = await serve({
    checkpoint: await weatherModel(),
    port: 0,
    maxBodyBytes: 1 << 18,
    maxContext: 500,
    onError: error => failures.push(error),
  });
}, 180_000);
afterAll(() => server.close());

const good = {
  model: 'weather',
  messages: [{ role: 'user', content: 'Say hello.' }],
  tools: [weatherTool],
  max_tokens: 20,
  seed: 1,
};

interface Attack {
  method: string;
  path: string;
  body?: string | Uint8Array;
}

const pick = <T>(random: Random, list: readonly T[]): T => list[random.below(list.length)];
const chat = (body: unknown): Attack => ({ method: 'POST', path: '/v1/chat/completions', body: JSON.stringify(body) });
const completion = (body: unknown): Attack => ({ method: 'POST', path: '/v1/completions', body: JSON.stringify(body) });
const response = (body: unknown): Attack => ({ method: 'POST', path: '/v1/responses', body: JSON.stringify(body) });
const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);

/** Values that no field of a request takes. */
const wrong: Record<string, unknown[]> = {
  messages: [undefined, null, 3, 'x', {}, [], [null], [{}], [{ role: 'king', content: 'x' }], [{ role: 'user' }]],
  model: [undefined, null, 3, {}, 'gpt-4', '', '__proto__', 'weather '],
  temperature: ['1', -0.1, 1e9, {}, []],
  top_p: [0, -1, 1.1, 'x'],
  top_k: [0.5, 'x', -7],
  n: [0, -1, 1.5, 65, 1e9, '2'],
  seed: [1.5, 'x', 1e300],
  stop: [3, '', [''], [1], Array(17).fill('x'), {}],
  max_tokens: [0, -1, 1.5, 'x', 1e300],
  stream: ['yes', 1],
  stream_options: [1, 'x', { include_usage: 'x' }],
  tools: [
    1,
    {},
    [1],
    [{}],
    [{ type: 'function' }],
    [{ type: 'function', function: { name: 'a b' } }],
    Array(200).fill(weatherTool),
  ],
  tool_choice: [
    ...['always', 1, { type: 'function' }, { type: 'function', function: { name: 'nothing' } }],
    { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } },
    { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'x' } }] } },
  ],
  response_format: [
    1,
    'json',
    {},
    { type: 'xml' },
    { type: 'json_schema' },
    ...[
      { type: 'nothing' },
      { pattern: 'a' },
      { type: 'array', minItems: -1 },
      { type: 'array', minItems: 5, maxItems: 2 },
      { enum: [] },
      { anyOf: [] },
      { anyOf: 1 },
      { $ref: 'https://x' },
      { $ref: '#/nowhere' },
      { $ref: '#/%zz' },
      { $ref: '#', maxLength: 3 },
      { type: 'string', format: 'nothing' },
      { type: 'array', uniqueItems: true },
      { type: 'number', minimum: 2, exclusiveMaximum: 2 },
      { type: 'object', required: ['x'] },
      { type: 'object', properties: 3 },
      { type: 'integer', minimum: 5, maximum: 4 },
      { type: 'integer', minimum: 'x' },
      { not: {} },
      { $ref: '#' },
    ].map(schema => ({ type: 'json_schema', json_schema: { name: 'x', schema } })),
  ],
  presence_penalty: [1, 'x'],
  repetition_penalty: [1.1, 'x'],
  modalities: ['text', ['audio'], ['text', 'audio']],
  audio: [{ voice: 'x', format: 'wav' }],
  ignore_eos: ['yes', 1],
  stop_token_ids: ['x', [-1], [0.5]],
  chat_template_kwargs: [1, { enable_thinking: 'yes' }],
  logit_bias: [{ 5: 1 }, 3],
  logprobs: [3, 'x'],
  top_logprobs: [-1, 21, 3, 'x'],
  functions: [[{ name: 'x' }]],
};
const wrongOfCompletion: Record<string, unknown[]> = {
  prompt: [undefined, null, '', [], {}, [[]], [''], [-1], [1e9], [0.5], [[1], 'x'], Array(65).fill('x'), true],
  echo: ['yes', 1],
  best_of: [3],
  min_p: [0.1],
  suffix: ['x'],
  logprobs: [-1, 21, true],
  prompt_logprobs: [-1, 21, 'x'],
  prompt_alternatives: [-1, 21, 'x'],
};
const wrongOfResponse: Record<string, unknown[]> = {
  input: [
    ...[undefined, null, 3, [], {}, [null], [3], [{}], [{ type: 'nothing' }], [{ role: 'king', content: 'x' }]],
    ...[
      [{ role: 'user' }],
      [{ role: 'user', content: [{ type: 'input_image' }] }],
      Array(5000).fill({ role: 'user', content: 'x' }),
    ],
    [{ type: 'function_call', call_id: 'a', name: 'weather', arguments: '{}' }],
    [{ type: 'function_call_output', call_id: 'toString', output: 'x' }],
    [{ type: 'code_interpreter_call', code: 'x' }],
  ],
  instructions: [3, {}],
  previous_response_id: [3, '', 'x', '__proto__'],
  max_output_tokens: [0, 1.5, 'x'],
  tools: [[{ type: 'function' }], [weatherTool], [{ type: 'mcp', server_url: 'http://127.0.0.1' }]],
  tool_choice: ['always', { type: 'function', name: 'nothing' }, { type: 'mcp', server_label: 'x' }],
  text: [3, { format: { type: 'xml' } }, { format: { type: 'json_schema', schema: { pattern: 'a' } } }],
  reasoning: [{ effort: 3 }, 3],
  metadata: [3, { a: 1 }, Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`${i}`, 'x']))],
  background: [true],
  prompt: [{ id: 'x' }],
  top_logprobs: [1],
};

const brackets: [string, string][] = [
  ['[', ']'],
  ['{"a":', '}'],
];

/** Requests with one field of another value each. */
const wrongFields: Attack[] = [
  ...Object.entries(wrong).flatMap(([field, values]) => values.map(value => chat({ ...good, [field]: value }))),
  ...Object.entries(wrongOfCompletion).flatMap(([field, values]) =>
    values.map(value => completion({ model: 'weather', prompt: 'x', max_tokens: 1, [field]: value })),
  ),
  ...Object.entries(wrongOfResponse).flatMap(([field, values]) =>
    values.map(value => response({ model: 'weather', input: 'x', max_output_tokens: 1, [field]: value })),
  ),
];

/** Requests that are wrong in some other way, each way at random. */
const attacks: ((random: Random) => Attack)[] = [
  random => {
    const whole = JSON.stringify(good);
    return { ...chat({}), body: whole.slice(0, random.below(whole.length)) };
  },
  random => {
    const bytes = Buffer.from(JSON.stringify(good));
    bytes[random.below(bytes.length)] = pick(random, [0x00, 0xff, 0x80, 0xc0]);
    return { ...chat({}), body: bytes };
  },
  random => ({ ...chat({}), body: Uint8Array.from({ length: random.below(2000) }, () => random.below(256)) }),
  random => ({ ...chat({}), body: nested(1 + random.below(60_000), ...pick(random, brackets)) }),
  random => ({ ...chat({}), body: `{"messages":${nested(101 + random.below(60_000), '[', ']')}}` }),
  random => {
    const depth = 1 + random.below(8000);
    const schema = `${'{"type":"array","items":'.repeat(depth)}{"pattern":"x"}${'}'.repeat(depth)}`;
    const format = `{"type":"json_schema","json_schema":{"name":"x","schema":${schema}}}`;
    return { ...chat({}), body: `${JSON.stringify(good).slice(0, -1)},"response_format":${format}}` };
  },
  random => ({ ...chat({}), body: 'x'.repeat(2 ** 18 + random.below(1000)) }),
  random => ({ method: pick(random, ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']), path: '/v1/chat/completions' }),
  random => ({
    method: 'GET',
    path: `/${pick(random, ['', 'v1', 'v1/embeddings', '../etc/passwd', '%00', '%ff', 'v1/models/x', 'v1/models/%'])}`,
  }),
  random =>
    chat({
      ...good,
      messages: [{ role: 'user', content: pick(random, ['warm ', 'a', '😀', '\u0000']).repeat(4_000) }],
    }),
  random =>
    chat({ ...good, messages: [...Array(random.below(500)).fill(good.messages[0]), { role: 'tool', content: 'x' }] }),
  random =>
    chat({ ...good, ['__proto__']: { polluted: true }, messages: JSON.parse('{"__proto__": []}'), n: random.below(2) }),
];

async function send({ method, path, body }: Attack) {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${server.url}${path}`, { method, headers, body: body as string });
  return { status: response.status, text: await response.text() };
}

/** What no answer may show of the inside. */
const inside =
  /node_modules|\.ts:|\.js:|\n {4}at |Cannot read|undefined is not|is not a function|is not iterable|Maximum call stack/;

test('thousands of malformed requests: each is refused with words, and the server goes on as before', async () => {
  const before = await answer();
  const random = Random.of('fuzz');
  const requests = [...wrongFields, ...Array.from({ length: 2400 }, (_, i) => attacks[i % attacks.length](random))];
  const bad: unknown[] = [];
  let next = 0;
  const lane = async () => {
    while (next < requests.length) {
      const request = requests[next++];
      const { status, text } = await send(request).catch(error => ({ status: 0, text: String(error.cause ?? error) }));
      const said = message(text);
      const isClear = status >= 400 && status < 500 && said.length > 15 && !inside.test(text);
      if (!isClear)
        bad.push({ status, text: text.slice(0, 300), path: request.path, body: String(request.body).slice(0, 300) });
    }
  };
  await Promise.all(Array.from({ length: 16 }, lane));
  expect(bad.slice(0, 5)).toEqual([]);
  expect(failures).toEqual([]);
  expect(await answer()).toEqual(before);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toMatch(/^sod_sequences_running 0$/m);
});

test.each([
  ['no HTTP', 'hello\r\n\r\n'],
  ['a header without end', `GET /health HTTP/1.1\r\nx: ${'y'.repeat(100_000)}`],
  ['a length that is none', 'POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n'],
  ['two lengths', 'POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}'],
  ['chunks that are none', 'POST /v1/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
  ['zeros', '\0\0\0\0\r\n\r\n'],
])('on the wire: %s', async (_, bytes) => {
  const text = await new Promise<string>(resolve => {
    let received = '';
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.write(bytes));
    socket.on('data', data => {
      received += data;
    });
    socket.on('error', () => resolve(received)).on('close', () => resolve(received));
  });
  expect(text).toMatch(/^HTTP\/1\.1 4\d\d /);
  expect(message(text.slice(text.indexOf('\r\n\r\n') + 4)).length).toBeGreaterThan(15);
});

async function answer(): Promise<unknown> {
  const { status, text } = await send(chat(good));
  expect(status).toBe(200);
  return JSON.parse(text).choices;
}

function message(body: string): string {
  try {
    return String(JSON.parse(body).error.message);
  } catch {
    return '';
  }
}
