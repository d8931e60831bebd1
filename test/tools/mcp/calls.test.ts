import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type CallLimits, callTool } from '../../../src/tools/call.ts';
import { type OpenServers, openServers } from '../../../src/tools/mcp/open.ts';
import { toolSchema } from '../../../src/tools/schema.ts';
import { defineTool, ToolLost } from '../../../src/tools/tool.ts';
import { testServer } from './servers.ts';

let opened: OpenServers;
beforeAll(async () => {
  vi.stubEnv('TEST_KITCHEN_KEY', 'k-123456');
  opened = await openServers([testServer('kitchenServer.mjs', { env: { KITCHEN_KEY: `\${TEST_KITCHEN_KEY}` } })], 2000);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await opened.close();
});

const call = (name: string, args: Record<string, unknown> = {}, limits: CallLimits = {}) =>
  callTool(opened.tools([]), { name, arguments: args }, limits);

test('what a server gives becomes text; what is none is named', async () => {
  expect(await call('everything')).toEqual({
    observation: [
      'a dish',
      '[left out: image, image/png]',
      'recipe: file:///recipe.txt – how it is cooked',
      'with salt',
      '[left out: file:///smell, x/smell]',
    ].join('\n'),
  });
  expect(await call('structured')).toEqual({ observation: '{"portions":4}' });
});

test('arguments are checked against the schema before the call', async () => {
  expect(await call('weigh', { grams: 2, of: 'salt' })).toEqual({ observation: '{"grams":2,"of":"salt"}' });
  const { observation, error } = await call('weigh', { grams: 0.5 });
  expect(error).toBe('invalid_arguments');
  expect(observation).toMatch(
    /^Error: the arguments of weigh are not valid\.\n- data must have required property 'of', data\/grams must be integer/,
  );
  expect(observation).toContain('Expected: {"properties":{"grams":{"type":"integer"');
});

test('a failing tool and one that is too slow are told to the model', async () => {
  expect(await call('fail')).toEqual({ observation: 'Error: the pan is too hot', error: 'exception' });
  expect(await call('wait')).toEqual({ observation: 'Error: wait did not answer within 2 s.', error: 'timeout' });
});

test('what the environment gives a server is never told', async () => {
  expect(await call('secret')).toEqual({ observation: `the key is \${TEST_KITCHEN_KEY}` });
});

test('a server that ends in a call ends the work; the next one begins it again', async () => {
  expect(await call('count')).toEqual({ observation: '1' });
  const lost = call('die');
  await expect(lost).rejects.toThrow(ToolLost);
  await expect(lost).rejects.toThrow(/^MCP server kitchen is gone: .*it said: out of gas\. /);
  expect(await call('count')).toEqual({ observation: '1' });
});

test('a name that is there twice gets that of its server in front', () => {
  const own = defineTool({ ...opened.tools([])[0], parameters: undefined as never, name: 'count', execute: () => '' });
  expect(opened.tools([own]).map(({ name }) => name)).toEqual([
    ...['count', 'kitchen_count', 'weather', 'secret', 'fail', 'die', 'wait', 'weigh', 'everything', 'structured'],
  ]);
});

test('models are shown a schema as one of ours', () => {
  const weigh = opened.tools([]).find(({ name }) => name === 'weigh')!;
  expect(toolSchema(weigh).parameters).toEqual({
    type: 'object',
    properties: { grams: { type: 'integer', minimum: 1 }, of: { type: 'string', enum: ['salt', 'flour'] } },
    required: ['grams', 'of'],
  });
});
