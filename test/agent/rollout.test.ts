import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Rollout, rollout } from '../../src/agent/rollout.ts';
import { rollouts } from '../../src/agent/rollouts.ts';
import type { TokenIds } from '../../src/engine/types.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { PythonPool } from '../../src/tools/python/pool.ts';
import { pythonTool } from '../../src/tools/python/tool.ts';
import { toolSchema } from '../../src/tools/schema.ts';
import type { Tool } from '../../src/tools/tool.ts';
import { qwen3Dir } from '../text/checkpoints.ts';
import { ScriptedSampler } from './scripted.ts';

const chat = loadChat(qwen3Dir);
const pool = new PythonPool();
beforeAll(() => pool.ready());
afterAll(() => pool.close());

const python = (code: string, content = '') =>
  chat.turn({ role: 'assistant', content, toolCalls: [{ name: 'python', arguments: { code } }] });
const say = (content: string) => chat.turn({ role: 'assistant', content });
const task = { id: 'sum', messages: [{ role: 'user' as const, content: 'How much is 17 * 23?' }], answer: '391' };

/** A rollout of the turns, and what became of its sampler and tools. */
function scripted(turns: readonly TokenIds[], changes: Partial<Rollout> = {}) {
  const sampler = new ScriptedSampler(turns);
  const opened: Tool[] = [];
  const closed: Tool[] = [];
  const request: Rollout = {
    task,
    tools: () => {
      const tool = pythonTool(pool.session());
      opened.push(tool);
      return [
        {
          ...tool,
          close: async () => {
            await tool.close?.();
            closed.push(tool);
          },
        },
      ];
    },
    chat,
    sampler,
    seed: 1,
    judge: ({ steps }) => {
      const correct = steps.at(-1)?.text.includes(task.answer) ?? false;
      return { reward: correct ? 1 : -1, correct };
    },
    ...changes,
  };
  return {
    request,
    sampler,
    isAllClosed: () => closed.length === opened.length && sampler.conversations.every(c => c.isClosed),
  };
}

describe('rollout', () => {
  const turns = [python('x = 17', 'First'), python('x * 23'), say('It is 391.')];

  test('calls tools until a turn makes no call, and lets the judge decide', async () => {
    const { request, isAllClosed } = scripted(turns);
    const trajectory = await rollout(request);
    expect(trajectory).toMatchObject({ taskId: 'sum', end: 'answer', reward: 1, correct: true });
    expect(trajectory.steps.map(({ observation }) => observation)).toEqual(['(no output)', '391\n', undefined]);
    expect(trajectory.steps[0].call).toEqual({ name: 'python', arguments: { code: 'x = 17' } });
    expect(trajectory.steps.every(({ error }) => error === undefined)).toBe(true);
    expect(isAllClosed()).toBe(true);
  });

  test('keeps exactly the tokens that the policy saw and sampled', async () => {
    const { request, sampler } = scripted(turns);
    const { tokens, promptTokens, mask, logprobs, steps } = await rollout(request);
    const [conversation] = sampler.conversations;
    expect(tokens).toEqual(conversation.tokens);
    expect(tokens.slice(0, promptTokens)).toEqual(chat.prompt(task.messages, request.tools().map(toolSchema)));
    expect(steps.map(({ start, end }) => tokens.slice(start, end))).toEqual(turns);
    expect([mask.length, logprobs.length]).toEqual([tokens.length, tokens.length]);
    tokens.forEach((_, t) => {
      const step = steps.findIndex(({ start, end }) => t >= start && t < end);
      expect([mask[t], logprobs[t]]).toEqual(step < 0 ? [0, 0] : [1, -(step + 1)]);
    });
    expect(chat.decode(tokens.slice(steps[1].end, steps[2].start))).toContain('<tool_response>\n391\n');
  });

  test('takes a thought for a part of its step', async () => {
    const thinking = loadChat(qwen3Dir, { enableThinking: true });
    const calls = [{ name: 'python', arguments: { code: '17 * 23' } }];
    const turns = [
      thinking.turn({ role: 'assistant', reasoning: 'I could <tool_call> it.', content: '', toolCalls: calls }),
      thinking.turn({ role: 'assistant', reasoning: 'So it is.', content: 'It is 391.' }),
    ];
    const { tokens, mask, steps, correct } = await rollout(scripted(turns, { chat: thinking }).request);
    expect(steps.map(({ start, end }) => tokens.slice(start, end))).toEqual(turns);
    expect(steps.every(({ start, end }) => mask.slice(start, end).every(said => said === 1))).toBe(true);
    expect(steps[0]).toMatchObject({ call: calls[0], observation: '391\n' });
    expect(correct).toBe(true);
  });

  test('gives each turn a seed of its own, the same in every run', async () => {
    const seeds = async (seed: number) => {
      const { request, sampler } = scripted(turns, { seed });
      await rollout(request);
      return sampler.conversations[0].options.map(options => options.seed);
    };
    const first = await seeds(1);
    expect(new Set([...first, ...(await seeds(2))]).size).toBe(6);
    expect(await seeds(1)).toEqual(first);
  });

  test('answers what cannot be run, so that the policy can recover', async () => {
    const call = python('1');
    const brokenJson = [...call.slice(0, -4), ...call.slice(-2)];
    const noSuchTool = chat.turn({ role: 'assistant', content: '', toolCalls: [{ name: 'pyton', arguments: {} }] });
    const noCode = chat.turn({
      role: 'assistant',
      content: '',
      toolCalls: [{ name: 'python', arguments: { kode: '1' } }],
    });
    const { request } = scripted([brokenJson, noSuchTool, noCode, python('1 / 0'), python('17 * 23'), say('391')]);
    const { steps, end } = await rollout(request);
    expect(end).toBe('answer');
    expect(steps.map(({ error }) => error)).toEqual([
      'invalid_json',
      'unknown_tool',
      'invalid_arguments',
      'exception',
      undefined,
      undefined,
    ]);
    expect(steps[0].observation).toMatch(/JSON|not closed/);
    expect(steps[3].observation).toMatch(/ZeroDivisionError/);
  });

  test('runs only the first of several calls, and says so', async () => {
    const toolCalls = ['print(1)', 'print(2)'].map(code => ({ name: 'python', arguments: { code } }));
    const { request } = scripted([chat.turn({ role: 'assistant', content: '', toolCalls }), say('1')]);
    const { steps } = await rollout(request);
    expect(steps[0].observation).toMatch(/^1\n\n?Note: only the first call was run/);
  });

  test('tells the policy of a call that cannot be read, also behind one that was run', async () => {
    const call = python('print(1)').slice(0, -1);
    const [open, close, end] = [call[0], call[call.length - 1], chat.stopTokens[0]];
    const broken = [open, ...chat.encode('{"name": "python", "arguments": {"code": "2"}'), close];
    const { request } = scripted([[...broken, end], [...call, ...broken, end], say('1')]);
    const { steps } = await rollout(request);
    expect(steps[0]).toMatchObject({ error: 'invalid_json', call: undefined });
    expect(steps[0].observation).toMatch(/^Error: invalid JSON in tool call: .+ is wanted, and nothing else$/);
    expect(steps[1].observation).toMatch(
      /^1\n\n?Note: only the first call was run.+Another could not be read: invalid JSON/,
    );
  });

  test('at the turn limit the last call is not run', async () => {
    const { request, sampler } = scripted(turns, { limits: { turns: 2 } });
    const trajectory = await rollout(request);
    expect(trajectory.end).toBe('turns');
    expect(trajectory.steps).toHaveLength(2);
    expect(trajectory.steps[1].observation).toBeUndefined();
    expect(trajectory.tokens).toEqual(sampler.conversations[0].tokens);
  });

  test('never exceeds the response tokens, wherever the limit falls', async () => {
    const whole = await rollout(scripted(turns).request);
    const length = whole.tokens.length - whole.promptTokens;
    for (let responseTokens = 1; responseTokens <= length; responseTokens++) {
      const { request, sampler, isAllClosed } = scripted(turns, { limits: { responseTokens } });
      const trajectory = await rollout(request);
      expect(trajectory.tokens).toEqual(sampler.conversations[0].tokens);
      expect(trajectory.tokens.length - trajectory.promptTokens).toBeLessThanOrEqual(responseTokens);
      expect(trajectory.tokens).toEqual(whole.tokens.slice(0, trajectory.tokens.length));
      expect(trajectory.end).toBe(responseTokens < length ? 'tokens' : 'answer');
      expect(isAllClosed()).toBe(true);
    }
  });

  test('ends where the sampler has no room for another turn', async () => {
    const { request, sampler, isAllClosed } = scripted([turns[0], []]);
    const trajectory = await rollout(request);
    expect(trajectory.end).toBe('tokens');
    expect(trajectory.steps).toHaveLength(1);
    expect(trajectory.tokens).toEqual(sampler.conversations[0].tokens);
    expect(isAllClosed()).toBe(true);
  });

  test('a prompt that is too long ends before the first turn', async () => {
    const { request, isAllClosed } = scripted(turns, { limits: { promptTokens: 10 } });
    const { steps, end, mask, correct } = await rollout(request);
    expect({ steps, end, mask: [...mask], correct }).toEqual({
      steps: [],
      end: 'tokens',
      mask: Array(10).fill(0),
      correct: false,
    });
    expect(isAllClosed()).toBe(true);
  });

  test('an abort in the middle of a tool call closes everything', async () => {
    const abort = new AbortController();
    const { request, isAllClosed } = scripted([python('while True: pass')], { signal: abort.signal });
    const running = rollout(request);
    setTimeout(() => abort.abort(new Error('stopped by hand')), 50);
    await expect(running).rejects.toThrow('stopped by hand');
    expect(isAllClosed()).toBe(true);
  });
});

describe('rollouts', () => {
  const request = (value: number) => scripted([python(`x = ${value}`), python('x'), say('done')]).request;

  test('come in the order of the requests, at most so many at a time', async () => {
    let open = 0;
    let most = 0;
    const counted = (value: number): Rollout => {
      const one = request(value);
      return {
        ...one,
        tools: () => {
          most = Math.max(most, ++open);
          return one.tools();
        },
        judge: () => {
          open--;
          return { reward: value, correct: true };
        },
      };
    };
    const progress: number[] = [];
    const trajectories = await rollouts(
      Array.from({ length: 20 }, (_, i) => counted(i)),
      { concurrency: 6, onTrajectory: (_, done, total) => progress.push(done / total) },
    );
    expect(trajectories.map(({ reward, steps }) => [reward, steps[1].observation])).toEqual(
      Array.from({ length: 20 }, (_, i) => [i, `${i}\n`]),
    );
    expect(most).toBe(6);
    expect(progress).toEqual(Array.from({ length: 20 }, (_, i) => (i + 1) / 20));
  });

  test('a failure stops the others and is what is thrown', async () => {
    const failing = { ...scripted([say('done')]).request, judge: () => Promise.reject(new Error('no verdict')) };
    const endless = scripted([python('while True: pass')]).request;
    await expect(rollouts([endless, failing, endless])).rejects.toThrow('no verdict');
  });
});
