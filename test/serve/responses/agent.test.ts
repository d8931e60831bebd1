import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Agent } from '../../../src/agent/agent.ts';
import { openAgent } from '../../../src/chat/openAgent.ts';
import { type RunningServer, serve } from '../../../src/serve/server.ts';
import { toolPresets } from '../../../src/tools/profile.ts';
import { defineTool, type Tool } from '../../../src/tools/tool.ts';
import { openKit } from '../../../src/worlds/kit.ts';
import { testServer } from '../../tools/mcp/servers.ts';
import { weather, weatherModel, weatherTool } from '../weatherModel.ts';
import { messageEvents } from './messageEvents.ts';

let checkpoint: string;
const opened: { close(): unknown }[] = [];
beforeAll(async () => {
  checkpoint = await weatherModel();
}, 180_000);
afterAll(async () => {
  for (const part of opened.reverse()) await part.close();
});

/** A server whose agent has these tools, and a client of it. */
async function served(tools: Agent['tools'], more: { maxTurns?: number; messages?: Agent['messages'] } = {}) {
  const { maxTurns, messages = [] } = more;
  const agent = { tools, messages };
  const server: RunningServer = await serve({
    checkpoint,
    port: 0,
    engine: { dtype: 'f32' },
    agent,
    maxTurns,
    onError: () => {},
  });
  opened.push(server);
  return { server, client: new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'none', maxRetries: 0 }) };
}

const { name, description } = weatherTool.function;
const parameters = z.object({ city: z.string() });
const weatherOf = (execute: (city: string) => string | Promise<string>): Tool =>
  defineTool({ name, description, parameters, execute: ({ city }) => execute(city) });
const ask = (input: string) => ({ model: 'weather', temperature: 0, max_output_tokens: 100, input });

describe('functions', () => {
  let functions: Awaited<ReturnType<typeof served>>;
  beforeAll(async () => {
    functions = await served(async () => [
      weatherOf(city => {
        if (city === 'Rome') throw new Error('there is fog');
        return weather(city);
      }),
    ]);
  });

  test('tools run on the server: what they were called with and what they gave is in the answer', async () => {
    const { client, server } = functions;
    expect(server.tools).toEqual(['weather']);
    const response = await client.responses.create(ask('How warm is it in Oslo?'));
    expect(response).toMatchObject({
      status: 'completed',
      output_text: 'Let me see.12 °C in Oslo 😀',
      output: [
        { type: 'message', status: 'completed' },
        {
          type: 'mcp_call',
          status: 'completed',
          server_label: 'sod',
          name: 'weather',
          arguments: '{"city": "Oslo"}',
          output: '12',
          error: null,
        },
        { type: 'message', status: 'completed' },
      ],
    });
    const types: string[] = [];
    const stream = client.responses.stream(ask('How warm is it in Oslo?'));
    for await (const { type } of stream) if (type !== types.at(-1)) types.push(type);
    expect(types).toEqual([
      'response.created',
      'response.in_progress',
      ...messageEvents,
      'response.output_item.added',
      'response.mcp_call.in_progress',
      'response.mcp_call_arguments.delta',
      'response.mcp_call_arguments.done',
      'response.mcp_call.completed',
      'response.output_item.done',
      ...messageEvents,
      'response.completed',
    ]);
    const streamed = await stream.finalResponse();
    expect(streamed.usage).toEqual(response.usage);
    const plain = ({ output }: OpenAI.Responses.Response) =>
      output.map(item => ({ ...item, id: undefined, ...('content' in item && { content: String(item.content) }) }));
    expect(plain(streamed)).toEqual(plain(response));
    // What was read is the prompt and what the tool gave; a call by the client would have had both in a second prompt.
    expect(response.usage!.input_tokens).toBeGreaterThan(0);

    const items = response.output as OpenAI.Responses.ResponseInput;
    const again = { role: 'user' as const, content: 'How warm is it in Rome?' };
    const byId = await client.responses.create({ ...ask(''), input: [again], previous_response_id: response.id });
    const byItems = await client.responses.create({
      ...ask(''),
      input: [{ role: 'user', content: 'How warm is it in Oslo?' }, ...items, again],
    });
    expect(byItems.usage).toEqual(byId.usage);
  });

  test('calls of one turn are run one after the other; a tool that fails is told to the model', async () => {
    const { client } = functions;
    const { output } = await client.responses.create(ask('Compare Oslo and Rome.'));
    expect(output.slice(0, 2)).toMatchObject([
      { type: 'mcp_call', status: 'completed', output: '12' },
      { type: 'mcp_call', status: 'failed', output: null, error: 'Error: there is fog' },
    ]);
  });
});

test("the client's tools stand beside: a call of theirs ends the answer, with what the server has done before", async () => {
  const { client } = await served(async () => [
    defineTool({ name: 'clock', description: 'What time it is', parameters: z.object({}), execute: () => '12:00' }),
  ]);
  const tools = [
    { type: 'function' as const, strict: null, name, description, parameters: weatherTool.function.parameters },
  ];
  const first = await client.responses.create({
    ...ask('How warm is it in Oslo?'),
    tools,
    tool_choice: { type: 'function', name },
  });
  const call = first.output.find(item => item.type === 'function_call')!;
  expect(call).toMatchObject({ name: 'weather', status: 'completed' });
  const next = await client.responses.create({
    ...ask(''),
    tools,
    previous_response_id: first.id,
    input: [{ type: 'function_call_output', call_id: call.call_id, output: '12' }],
  });
  expect(next.status).toBe('completed');

  const twice = client.responses.create({ ...ask('x'), tools: [{ ...tools[0], name: 'clock' }] });
  await expect(twice).rejects.toMatchObject({ status: 400, param: 'tools.0.name' });
});

test('the limit of turns ends it, with the calls that were not run', async () => {
  const { client } = await served(async () => [weatherOf(weather)], { maxTurns: 1 });
  const response = await client.responses.create(ask('How warm is it in Oslo?'));
  expect(response).toMatchObject({
    status: 'incomplete',
    incomplete_details: { reason: 'max_turns' },
    output: [{ type: 'message' }, { type: 'mcp_call', status: 'incomplete', output: null }],
  });
});

test('a tool that says so ends it', async () => {
  const { client } = await served(async () => [{ ...weatherOf(weather), endsTrajectory: () => true }]);
  const response = await client.responses.create(ask('How warm is it in Oslo?'));
  expect(response).toMatchObject({
    status: 'completed',
    output: [{ type: 'message' }, { type: 'mcp_call', status: 'completed', output: '12' }],
  });
});

test("an agent's system message stands before dialogues without instructions, and its tools may be left out", async () => {
  const rules = { messages: [{ role: 'system' as const, content: 'You are a thermometer.' }] };
  const { client } = await served(async () => [weatherOf(weather)], rules);
  const tokens = async (more: object) =>
    (await client.responses.create({ ...ask('Say hello.'), ...more })).usage!.input_tokens;
  const own = await tokens({});
  expect(await tokens({ instructions: 'You are a thermometer.' })).toBe(own);
  expect(await tokens({ instructions: '' })).toBeLessThan(own);
  expect(await tokens({ tool_choice: 'none' })).toBeLessThan(own);
});

test('MCP servers: their tools are called under their names; where one is gone, an answer failed, as an event where it is streamed', async () => {
  const agent = await openAgent({}, { mcp: [testServer('kitchenServer.mjs', { tools: ['weather', 'die'] })] });
  opened.push(agent);
  const { client } = await served(async () => {
    const [known, die] = await agent.tools();
    const execute: Tool['execute'] = (args, signal) =>
      args.city === 'Rome' ? die.execute({}, signal) : known.execute(args, signal);
    return [{ ...known, execute }];
  });
  const { output, output_text } = await client.responses.create(ask('How warm is it in Cairo?'));
  expect(output[1]).toMatchObject({ type: 'mcp_call', server_label: 'kitchen', name: 'weather', output: '31' });
  expect(output_text).toContain('31 °C in Cairo');

  await expect(client.responses.create(ask('How warm is it in Rome?'))).rejects.toMatchObject({ status: 500 });
  const streamed = await client.responses.stream(ask('How warm is it in Rome?')).finalResponse();
  expect(streamed).toMatchObject({ status: 'failed', error: { code: 'server_error' } });
  expect(streamed.output[1]).toMatchObject({ type: 'mcp_call', status: 'incomplete' });
});

describe('code', () => {
  let code: Awaited<ReturnType<typeof served>>;
  let [calls, closed, isStuck] = [0, 0, false];
  beforeAll(async () => {
    // The code tool under the name that the model knows; its code is a city, before which stands what gives it a value.
    const { kit, close } = await openKit({ tool: { ...toolPresets.python, name, description, argument: 'city' } });
    opened.push({ close });
    code = await served(async () => {
      const python = kit.python();
      const execute: Tool['execute'] = ({ city }, signal) => {
        calls++;
        const prelude = "Oslo = 'again' if 'seen' in globals() else 12; seen = True";
        return python.execute({ city: isStuck ? 'while True: pass' : `${prelude}\n${city}` }, signal);
      };
      const close = async () => {
        closed++;
        await python.close?.();
      };
      return [{ ...python, parameters, execute, close }];
    });
  });

  test('runs in a Python of the answer, and of no other', async () => {
    const { client } = code;
    for (let request = 0; request < 2; request++) {
      const { output } = await client.responses.create(ask('How warm is it in Oslo?'));
      expect(output[1]).toMatchObject({
        type: 'code_interpreter_call',
        status: 'completed',
        code: 'Oslo',
        outputs: [{ type: 'logs', logs: '12\n' }],
      });
    }
    const { output } = await client.responses.create(ask('How warm is it in Rome?'));
    expect(output[1]).toMatchObject({ type: 'code_interpreter_call', status: 'failed' });
    const types: string[] = [];
    const stream = client.responses.stream(ask('How warm is it in Oslo?'));
    for await (const { type } of stream)
      if (type.includes('code_interpreter')) types.push(type.split('.').slice(1).join('.'));
    expect(types).toEqual([
      'code_interpreter_call.in_progress',
      'code_interpreter_call_code.delta',
      'code_interpreter_call_code.done',
      'code_interpreter_call.interpreting',
      'code_interpreter_call.completed',
    ]);
    expect((await stream.finalResponse()).output[1]).toMatchObject({ code: 'Oslo', outputs: [{ logs: '12\n' }] });
  });

  test.each([true, false])(
    'is stopped by a client that goes away, and everything given back (streamed: %s)',
    async stream => {
      const { client, server } = code;
      const metrics = async () => (await fetch(`${server.url}/metrics`)).text();
      const clientsGone = async () => Number(/^sod_clients_gone_total (\d+)$/m.exec(await metrics())![1]);
      const before = await clientsGone();
      [calls, closed, isStuck] = [0, 0, true];
      const gone = new AbortController();
      const question = { ...ask('How warm is it in Oslo?'), stream } as OpenAI.Responses.ResponseCreateParams;
      const answer = client.responses.create(question, { signal: gone.signal });
      answer.catch(() => {});
      while (calls === 0) await sleep(20);
      gone.abort();
      while (closed === 0) await sleep(20);
      isStuck = false;
      const { output } = await client.responses.create(ask('How warm is it in Oslo?'));
      expect(output[1]).toMatchObject({ type: 'code_interpreter_call', outputs: [{ logs: '12\n' }] });
      expect(await clientsGone()).toBe(before + 1);
      expect(await metrics()).toMatch(/^sod_cache_held_tokens 0$/m);
    },
  );
});
