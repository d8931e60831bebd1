import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateObject, generateText, stepCountIs, streamText, tool } from 'ai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type RunningServer, serve } from '../../src/serve/server.ts';
import { weather, weatherModel, weatherTool } from './weatherModel.ts';

let server: RunningServer;
beforeAll(async () => {
  server = await serve({ checkpoint: await weatherModel(), port: 0, engine: { dtype: 'f32' } });
}, 180_000);
afterAll(() => server.close());

const model = () =>
  createOpenAICompatible({
    name: 'sod',
    baseURL: `${server.url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  })('weather');

const tools = {
  weather: tool({
    description: weatherTool.function.description,
    inputSchema: z.object({ city: z.string() }),
    execute: ({ city }) => weather(city),
  }),
};
const request = { tools, stopWhen: stepCountIs(4), temperature: 0, prompt: 'How warm is it in Rome?' };

test('the AI SDK runs the tool and gets the answer', async () => {
  const { text, steps, totalUsage } = await generateText({ model: model(), ...request });
  expect(text).toBe('25 °C in Rome 😀');
  expect(steps.map(({ finishReason }) => finishReason)).toEqual(['tool-calls', 'stop']);
  expect(steps[0].text).toBe('Let me see.');
  expect(steps[0].toolCalls).toMatchObject([{ toolName: 'weather', input: { city: 'Rome' } }]);
  expect(steps[0].toolResults).toMatchObject([{ output: '25' }]);
  expect(totalUsage.outputTokens).toBeGreaterThan(10);
});

test('the same, streamed', async () => {
  const { fullStream, text } = streamText({ model: model(), ...request });
  const seen: string[] = [];
  for await (const part of fullStream) {
    if (part.type === 'error') throw part.error;
    if (seen.at(-1) !== part.type) seen.push(part.type);
  }
  expect(seen).toEqual(expect.arrayContaining(['tool-input-start', 'tool-input-delta', 'tool-call', 'tool-result']));
  expect(await text).toBe('25 °C in Rome 😀');
});

test('an object of a zod schema', async () => {
  const schema = z.object({ city: z.string().max(10), degrees: z.int(), dry: z.boolean() });
  const { object } = await generateObject({ model: model(), schema, prompt: 'How warm is it in Oslo?', seed: 5 });
  expect(schema.parse(object)).toEqual(object);
});
