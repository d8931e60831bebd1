import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningServer, serve } from '../../src/serve/server.ts';
import { weatherModel, weatherTool } from './weatherModel.ts';

let server: RunningServer;
beforeAll(async () => {
  server = await serve({ checkpoint: await weatherModel(), port: 0, maxContext: 500, engine: { dtype: 'f32' } });
}, 180_000);
afterAll(() => server.close());

async function ask(path: string, body: object, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}/v1/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'weather', temperature: 0, ...body }),
  });
  return {
    status: response.status,
    id: response.headers.get('x-request-id'),
    // biome-ignore lint/suspicious/noExplicitAny: what is in it is what is tested
    body: (await response.json()) as any,
  };
}
const oslo = [{ role: 'user', content: 'How warm is it in Oslo?' }];
const chat = (body: object) =>
  ask('chat/completions', { messages: oslo, tools: [weatherTool], max_tokens: 60, ...body });
const schema = { type: 'object', properties: { degrees: { type: 'integer' } }, required: ['degrees'] };
const format = { type: 'json_schema', json_schema: { name: 'report', schema } };

test('a sampled stop token is among the log-probabilities and not in the text', async () => {
  const { body } = await ask('completions', {
    prompt: 'x',
    max_tokens: 1,
    echo: true,
    logprobs: 1,
    response_format: { type: 'json_schema', json_schema: { name: 'none', schema: { const: 1 } } },
  });
  expect(body.choices[0].logprobs.token_logprobs).toHaveLength(2);
  const whole = await ask('completions', {
    prompt: 'x',
    max_tokens: 9,
    logprobs: 1,
    response_format: { type: 'json_schema', json_schema: { name: 'one', schema: { const: 1 } } },
  });
  const { text, finish_reason, logprobs } = whole.body.choices[0];
  expect({ text, finish_reason }).toEqual({ text: '1', finish_reason: 'stop' });
  expect(logprobs.tokens).toHaveLength(2);
  expect(logprobs.token_logprobs).toHaveLength(whole.body.usage.completion_tokens);
  expect(logprobs.top_logprobs[1]).toHaveProperty([logprobs.tokens[1]]);
});

test('an overflow is told in the words that clients know', async () => {
  for (const { status, body } of [
    await chat({ messages: [{ role: 'user', content: 'warm '.repeat(2000) }] }),
    await ask('completions', { prompt: 'warm '.repeat(2000) }),
    await ask('completions', { prompt: Array(501).fill(5) }),
  ]) {
    expect(status).toBe(400);
    expect(body.error.message).toMatch(/^This model's maximum context length is 500 tokens\. However, your /);
    expect(body.error.code).toBe('context_length_exceeded');
  }
});

test('with ignore_eos an answer has all its tokens', async () => {
  const { body } = await chat({ ignore_eos: true });
  expect(body.choices[0].finish_reason).toBe('length');
  expect(body.usage.completion_tokens).toBe(60);
});

test('seeds of 64 bits differ in each of them', async () => {
  const texts = ['9223372036854775807', '9223372036854775806', '9223372036854775807'].map(async seed => {
    const body = `{"model": "weather", "prompt": "x", "temperature": 2, "max_tokens": 12, "seed": ${seed}}`;
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${server.url}/v1/completions`, { method: 'POST', headers, body });
    return ((await response.json()) as { choices: { text: string }[] }).choices[0].text;
  });
  const [one, other, again] = await Promise.all(texts);
  expect(again).toBe(one);
  expect(other).not.toBe(one);
});

test('65 prompts are named as that; best_of 1 is no wish', async () => {
  const { body } = await ask('completions', { prompt: Array(65).fill('x') });
  expect(body.error.message).toBe('prompt: has 65 prompts; 64 is the most in one request');
  expect((await ask('completions', { prompt: 'x', max_tokens: 1, best_of: 1 })).status).toBe(200);
});

test('tools beside a format: an answer is calls or the JSON', async () => {
  const { body } = await chat({ response_format: format });
  expect(body.choices[0].finish_reason).toBe('tool_calls');
  const none = await chat({ response_format: format, tool_choice: 'none' });
  expect(Number.isInteger(JSON.parse(none.body.choices[0].message.content).degrees)).toBe(true);
  const object = await chat({ tools: undefined, response_format: { type: 'json_object', schema } });
  expect(Object.keys(JSON.parse(object.body.choices[0].message.content))).toEqual(['degrees']);
});

test('of allowed tools one is called, others are not there', async () => {
  const other = { type: 'function', function: { name: 'other', parameters: {} } };
  const allowed = (name: string) => ({
    type: 'allowed_tools',
    allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name } }] },
  });
  const { body } = await chat({ tools: [weatherTool, other], tool_choice: allowed('other') });
  expect(body.choices[0].message.tool_calls[0].function.name).toBe('other');
  const unknown = await chat({ tool_choice: allowed('nothing') });
  expect(unknown.body.error.message).toContain('there is no tool "nothing"');
});

test('a refusal is what the assistant said', async () => {
  const said = (message: object) => chat({ messages: [...oslo, { role: 'assistant', ...message }, ...oslo] });
  const answers = [
    await said({ content: [{ type: 'refusal', refusal: 'No.' }] }),
    await said({ content: null, refusal: 'No.' }),
    await said({ content: 'No.' }),
  ];
  expect(new Set(answers.map(({ body }) => body.usage.prompt_tokens)).size).toBe(1);
});

test('every answer has a request id, the client’s own where it sends one', async () => {
  expect((await ask('completions', { prompt: 'x', max_tokens: 1 }, { 'x-request-id': 'mine-1' })).id).toBe('mine-1');
  expect((await ask('completions', {})).id).toMatch(/^[0-9a-f-]{36}$/);
});

test("a tool as Pydantic's clients write it costs no more tokens than it did in training", async () => {
  const parameters = {
    additionalProperties: false,
    properties: { city: { title: 'City', type: 'string' } },
    required: ['city'],
    title: 'weather',
    type: 'object',
  };
  const written = { type: 'function', function: { ...weatherTool.function, parameters } };
  const [asTrained, asWritten] = [await chat({}), await chat({ tools: [written] })];
  expect(asWritten.body.usage).toEqual(asTrained.body.usage);
  expect(asWritten.body.choices[0].finish_reason).toBe('tool_calls');
});
