import OpenAI from 'openai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningServer, serve } from '../../../src/serve/server.ts';
import { expectRefused } from '../refused.ts';
import { weather, weatherModel, weatherTool } from '../weatherModel.ts';
import { messageEvents } from './messageEvents.ts';

let server: RunningServer;
let client: OpenAI;
beforeAll(async () => {
  server = await serve({ checkpoint: await weatherModel(), port: 0, engine: { dtype: 'f32' } });
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 });
}, 180_000);
afterAll(() => server.close());

const tool = { type: 'function' as const, strict: null, ...weatherTool.function };
const ask = (input: string | OpenAI.Responses.ResponseInput) => ({
  model: 'weather',
  temperature: 0,
  max_output_tokens: 100,
  input,
});
const withTool = (input: string | OpenAI.Responses.ResponseInput) => ({
  ...ask(input),
  tools: [tool],
});

test('text, usage, and what it was asked', async () => {
  const response = await client.responses.create({ ...withTool('Say hello.'), metadata: { from: 'test' } });
  expect(response).toMatchObject({
    object: 'response',
    status: 'completed',
    output_text: 'Hello! 😀 How are you?',
    metadata: { from: 'test' },
    temperature: 0,
    error: null,
  });
  const { input_tokens, output_tokens, total_tokens } = response.usage!;
  expect(total_tokens).toBe(input_tokens + output_tokens);
  const chat = await client.chat.completions.create({
    model: 'weather',
    temperature: 0,
    messages: [{ role: 'user', content: 'Say hello.' }],
    tools: [weatherTool],
  });
  expect(chat.usage).toMatchObject({ prompt_tokens: input_tokens, completion_tokens: output_tokens });
});

test('a call goes to the client, and on from its answer: by the id of the response, or by all items', async () => {
  const question = { role: 'user' as const, content: 'How warm is it in Oslo?' };
  const first = await client.responses.create(withTool([question]));
  const [said, call] = first.output;
  expect(said).toMatchObject({ type: 'message', content: [{ type: 'output_text', text: 'Let me see.' }] });
  if (call.type !== 'function_call') throw new Error('no function is called');
  const { city } = JSON.parse(call.arguments);
  const output = { type: 'function_call_output' as const, call_id: call.call_id, output: weather(city) };
  const byId = await client.responses.create({ ...withTool([output]), previous_response_id: first.id });
  const byItems = await client.responses.create(
    withTool([question, ...(first.output as OpenAI.Responses.ResponseInput), output]),
  );
  for (const { output_text, status } of [byId, byItems]) {
    expect({ output_text, status }).toEqual({ output_text: '12 °C in Oslo 😀', status: 'completed' });
  }
  expect(byId.usage).toEqual(byItems.usage);
  expect(byId.previous_response_id).toBe(first.id);
});

test('streamed, it is told event by event what it is as a whole, calls among it', async () => {
  const whole = await client.responses.create(withTool('Compare Oslo and Rome.'));
  const stream = client.responses.stream(withTool('Compare Oslo and Rome.'));
  const types: string[] = [];
  let count = 0;
  for await (const event of stream) {
    expect(event.sequence_number).toBe(count++);
    if (types.at(-1) !== event.type) types.push(event.type);
  }
  const call = [
    'response.output_item.added',
    'response.function_call_arguments.delta',
    'response.function_call_arguments.done',
    'response.output_item.done',
  ];
  expect(types).toEqual(['response.created', 'response.in_progress', ...call, ...call, 'response.completed']);
  const streamed = await stream.finalResponse();
  const calls = (response: OpenAI.Responses.Response) =>
    response.output.map(item => item.type === 'function_call' && [item.name, item.arguments]);
  expect(calls(streamed)).toEqual([
    ['weather', '{"city": "Oslo"}'],
    ['weather', '{"city": "Rome"}'],
  ]);
  expect(calls(streamed)).toEqual(calls(whole));
  expect(streamed.usage).toEqual(whole.usage);
});

test('text is streamed as parts of a message', async () => {
  const types: string[] = [];
  const deltas: string[] = [];
  for await (const event of await client.responses.create({ ...withTool('Say hello.'), stream: true })) {
    if (types.at(-1) !== event.type) types.push(event.type);
    if (event.type === 'response.output_text.delta') deltas.push(event.delta);
  }
  expect(deltas.length).toBeGreaterThan(2);
  expect(deltas.join('')).toBe('Hello! 😀 How are you?');
  expect(types).toEqual(['response.created', 'response.in_progress', ...messageEvents, 'response.completed']);
});

test('a limit ends it, and is told', async () => {
  const response = await client.responses.create({ ...ask('Say hello.'), max_output_tokens: 3 });
  expect(response).toMatchObject({
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
    output: [{ type: 'message', status: 'incomplete' }],
    usage: { output_tokens: 3 },
  });
  const streamed = await client.responses.stream({ ...ask('Say hello.'), max_output_tokens: 3 }).finalResponse();
  expect(streamed).toMatchObject({ status: 'incomplete', output_text: response.output_text });
});

test('a call can be demanded, and a schema followed', async () => {
  const demanded = await client.responses.create({
    ...withTool('Say hello.'),
    tool_choice: { type: 'function', name: 'weather' },
  });
  expect(demanded.output).toMatchObject([{ type: 'function_call', name: 'weather' }]);
  const schema = {
    type: 'object',
    properties: { sky: { enum: ['clear', 'grey'] } },
    required: ['sky'],
    additionalProperties: false,
  };
  const format = { type: 'json_schema' as const, name: 'sky', schema };
  const followed = await client.responses.create({ ...ask('Say hello.'), text: { format } });
  expect(['clear', 'grey']).toContain(JSON.parse(followed.output_text).sky);
});

test('instructions are of one response, the rest of a dialogue is kept', async () => {
  const question = { role: 'user' as const, content: 'Say hello.' };
  const first = await client.responses.create({ ...ask([question]), instructions: 'You are a thermometer.' });
  const plain = await client.responses.create(ask([question]));
  expect(first.usage!.input_tokens).toBeGreaterThan(plain.usage!.input_tokens);
  const again = { role: 'user' as const, content: 'Again.' };
  const byId = await client.responses.create({ ...ask([again]), previous_response_id: first.id });
  const items = first.output as OpenAI.Responses.ResponseInput;
  const byItems = await client.responses.create(ask([question, ...items, again]));
  expect(byId.usage).toEqual(byItems.usage);
  expect(byId.output_text).toBe(byItems.output_text);
});

test('a response is there until it is deleted, unless it was not to be kept', async () => {
  const response = await client.responses.create(ask('Say hello.'));
  const again = await client.responses.retrieve(response.id);
  expect(again).toEqual(response);
  await client.responses.delete(response.id);
  await expect(client.responses.retrieve(response.id)).rejects.toThrow(OpenAI.NotFoundError);
  await expect(client.responses.delete(response.id)).rejects.toThrow(OpenAI.NotFoundError);

  const unkept = await client.responses.create({ ...ask('Say hello.'), store: false });
  for (const { id } of [response, unkept]) {
    const on = client.responses.create({ ...ask('x'), previous_response_id: id });
    await expect(on).rejects.toMatchObject({ status: 400, code: 'previous_response_not_found' });
  }
});

const call = { type: 'function_call', call_id: 'call_1', name: 'weather', arguments: '{"city": "Oslo"}' };
test.each([
  [{ input: undefined }, 'input'],
  [{ input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'x' }] }] }, 'input.0.content'],
  [{ input: [{ type: 'item_reference', id: 'msg_1' }] }, 'input.0.type'],
  [{ input: [{ type: 'function_call_output', call_id: 'call_1', output: '12' }] }, 'input.0'],
  [{ input: [call, { role: 'user', content: 'x' }] }, 'input.1'],
  [{ input: [call] }, 'input'],
  [{ input: [{ type: 'code_interpreter_call', code: '1', outputs: null }] }, 'input.0'],
  [{ tools: [{ type: 'web_search' }] }, 'tools.0.type'],
  [{ tool_choice: 'required' }, 'tool_choice'],
  [{ tool_choice: { type: 'mcp', server_label: 'x' } }, 'tool_choice'],
  [{ text: { format: { type: 'json_schema', name: 'x', schema: { pattern: 'a' } } } }, 'text.format'],
  [{ background: true }, 'background'],
  [{ conversation: 'conv_1' }, 'conversation'],
  [{ truncation: 'auto' }, 'truncation'],
  [{ include: ['message.output_text.logprobs'] }, 'include.0'],
])('what is not served is refused by name: %j', async (wrong, param) => {
  await expectRefused(client.responses.create({ ...ask('Say hello.'), ...(wrong as object) }), param);
});
