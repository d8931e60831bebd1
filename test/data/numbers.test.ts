import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDemonstrations, openTasks } from '../../src/data/tasks.ts';
import { pythonJson } from '../../src/json.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import type { Message } from '../../src/text/message.ts';
import { qwen3Dir } from '../text/checkpoints.ts';
import { folder, type Kind, writeParquet } from './writeParquet.ts';

const numbers = '[1.0, 1e-07, 12345678901234567890, -0.0, 2, 0.5]';

function lines(name: string, ...rows: string[]): string {
  const file = join(folder, name);
  writeFileSync(file, `${rows.join('\n')}\n`);
  return file;
}

const tool = (schema: string) => `{"type": "function", "function": {"name": "f", "parameters": ${schema}}}`;
const dialogue = (args: string) =>
  `[{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": ${args}}}]}, ` +
  '{"role": "tool", "content": "y"}, {"role": "assistant", "content": "z"}]';

/** What a model is shown of a demonstration, and learns from it. */
async function shown(source: string): Promise<string> {
  const chat = loadChat(qwen3Dir);
  const { messages, solution, tools } = (await openDemonstrations({ source })).read(0);
  const prompt = chat.decode(chat.prompt([...messages, ...solution], tools));
  const turns = solution.filter(
    (message): message is Extract<Message, { role: 'assistant' }> => message.role === 'assistant',
  );
  return prompt + turns.map(turn => chat.decode(chat.turn(turn))).join('');
}

test.each([
  ['as objects', (json: string) => json],
  ['as text', (json: string) => JSON.stringify(json)],
])(
  'numbers of JSON lines come into prompt, history and turn as they were written: arguments and tools %s',
  async (name, form) => {
    const schema = `{"type": "object", "properties": {"x": {"default": ${numbers}, "minimum": 1.0}}}`;
    const row = `{"messages": ${dialogue(form(`{"x": ${numbers}}`))}, "tools": ${form(`[${tool(schema)}]`)}}`;
    const text = await shown(lines(`numbers-${name}.jsonl`, row));
    expect(text).toContain(`{"minimum": 1.0, "default": ${numbers}}`);
    expect(text.split(`"arguments": {"x": ${numbers}}`)).toHaveLength(3);
  },
);

test('numbers of Parquet: integers of 64 bits exactly, doubles as Python writes them', async () => {
  const args = { n: 'integer', u: 'unsigned', d: 'double', list: ['double'], text: 'text' } as const;
  const columns = {
    messages: [
      {
        role: 'text',
        content: 'text',
        tool_calls: [{ function: { name: 'text', arguments: { ...args, list: ['double'] } } }],
      },
    ],
    tools: 'json',
  } satisfies Record<string, Kind>;
  const values = { n: 2n ** 63n - 1n, u: 2n ** 64n - 1n, d: 1, list: [1e-7, 0.5, 1e22, -0], text: '1.0' };
  const messages = [
    { role: 'user', content: 'x' },
    { role: 'assistant', content: '', tool_calls: [{ function: { name: 'f', arguments: values } }] },
    { role: 'tool', content: 'y' },
    { role: 'assistant', content: 'z' },
  ];
  const tools = JSON.parse(`[${tool('{"type": "object", "properties": {"x": {"maximum": 3}}}')}]`);
  const demonstrations = await openDemonstrations({
    source: writeParquet('numbers.parquet', columns, [{ messages, tools }]),
  });
  const [turn] = demonstrations.read(0).solution;
  expect(pythonJson(turn.role === 'assistant' && turn.toolCalls![0].arguments)).toBe(
    '{"n": 9223372036854775807, "u": 18446744073709551615, "d": 1.0, "list": [1e-07, 0.5, 1e+22, -0.0], "text": "1.0"}',
  );
});

test('answers and tests of code are what was written', async () => {
  const own = lines(
    'answers.jsonl',
    ...['1.0', '12345678901234567890', '1e-07', '7'].map(n => `{"prompt": "x", "answer": ${n}}`),
  );
  const tasks = await openTasks({ source: own });
  expect([0, 1, 2, 3].map(i => tasks.read(i).answer)).toEqual(['1.0', '12345678901234567890', '1e-07', '7']);
  const code =
    '{"prompt": "x", "tests": {"fn_name": "f", "inputs": [[1.0, [1e-07]]], "outputs": [12345678901234567890]}}';
  const { tests } = (await openTasks({ source: lines('code.jsonl', code) })).read(0);
  expect(tests).toMatchObject({ inputs: ['1.0\n[1e-07]'], outputs: ['12345678901234567890'] });
  const integer = writeParquet('answer.parquet', { prompt: 'text', answer: 'integer' }, [
    { prompt: 'x', answer: 2n ** 62n + 1n },
  ]);
  expect((await openTasks({ source: integer })).read(0).answer).toBe(String(2n ** 62n + 1n));
});
