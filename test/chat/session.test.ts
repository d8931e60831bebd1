import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type ChatEvent, ChatSession, type ChatSessionOptions } from '../../src/chat/session.ts';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { defineTool } from '../../src/tools/tool.ts';
import { weather, weatherModel, weatherTool } from '../serve/weatherModel.ts';

let engine: LocalEngine;
let common: Omit<ChatSessionOptions, 'tools'>;
beforeAll(async () => {
  const checkpoint = await weatherModel();
  engine = await LocalEngine.start({ dtype: 'f32' });
  common = {
    sampler: await engine.sampler(checkpoint),
    chat: loadChat(checkpoint),
    sampling: { temperature: 0 },
    maxTokens: 500,
    maxTurns: 4,
    seed: 0,
  };
}, 180_000);
afterAll(() => engine.close());

const { description } = weatherTool.function;
const parameters = z.object({ city: z.string() });
const tool = (execute: (city: string) => string | Promise<string>) =>
  defineTool({ name: 'weather', description, parameters, execute: ({ city }) => execute(city) });
const never = new AbortController().signal;

test('text, call, observation and answer are told in turn, and kept', async () => {
  const session = new ChatSession({ ...common, tools: [tool(weather)] });
  const events: ChatEvent[] = [];
  await session.answer('How warm is it in Cairo?', never, event => events.push(event));
  const kinds = events.map(({ kind }) => kind).filter((kind, i, all) => kind !== all[i - 1]);
  expect(kinds).toEqual(['text', 'call', 'arguments', 'observation', 'text']);
  expect(events.find(({ kind }) => kind === 'observation')).toEqual({
    kind: 'observation',
    call: 0,
    name: 'weather',
    observation: '31',
  });
  expect(session.messages).toEqual([
    { role: 'user', content: 'How warm is it in Cairo?' },
    { role: 'assistant', content: 'Let me see.', toolCalls: [{ name: 'weather', arguments: { city: 'Cairo' } }] },
    { role: 'tool', content: '31' },
    { role: 'assistant', content: '31 °C in Cairo 😀' },
  ]);
});

test('a tool that says so has the last word, until the next dialogue', async () => {
  const closed: string[] = [];
  const once = (name: string) => {
    let isOver = false;
    const execute = (city: string) => {
      isOver = true;
      return weather(city);
    };
    return { ...tool(execute), endsTrajectory: () => isOver, close: () => void closed.push(name) };
  };
  const session = new ChatSession({ ...common, tools: [once('first')] });
  const events: ChatEvent[] = [];
  await session.answer('How warm is it in Cairo?', never, event => events.push(event));
  expect(events.slice(-2)).toMatchObject([{ kind: 'observation', observation: '31' }, { kind: 'over' }]);
  expect(session.messages.at(-1)).toEqual({ role: 'tool', content: '31' });

  await session.reset([once('second')]);
  expect(closed).toEqual(['first']);
  expect(session.messages).toEqual([]);
  await session.answer('Say hello.', never, event => events.push(event));
  expect(session.messages.at(-1)).toMatchObject({ role: 'assistant' });
  expect(events.at(-1)?.kind).toBe('text');
});

test('an answer that is stopped leaves no trace, also in the middle of a call', async () => {
  const stop = new AbortController();
  const stuck = tool(() => {
    stop.abort();
    return new Promise<string>(() => {});
  });
  const session = new ChatSession({ ...common, tools: [stuck] });
  await expect(session.answer('How warm is it in Rome?', stop.signal, () => {})).rejects.toThrow('aborted');
  expect(session.messages).toEqual([]);
});

test('a limit ends an answer, and is told', async () => {
  const session = new ChatSession({ ...common, tools: [tool(weather)], maxTurns: 1 });
  const events: ChatEvent[] = [];
  await session.answer('How warm is it in Oslo?', never, event => events.push(event));
  expect(events.at(-1)).toEqual({ kind: 'limit', what: '1 turns' });
});
