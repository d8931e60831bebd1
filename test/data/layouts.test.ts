import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Spool } from '../../src/data/spool.ts';
import type { Task } from '../../src/data/task.ts';
import { openDemonstrations, openTasks } from '../../src/data/tasks.ts';
import { folder, type Kind, writeParquet } from './writeParquet.ts';

const chat: Kind = [{ role: 'text', content: 'text' }];

function all<T>(spool: Spool<T>): T[] {
  return Array.from({ length: spool.length }, (_, i) => spool.read(i));
}

async function only(source: string): Promise<Task> {
  const tasks = await openTasks({ source });
  expect(tasks.length).toBe(1);
  return tasks.read(0);
}

function lines(name: string, rows: unknown[]): string {
  const file = join(folder, name);
  writeFileSync(file, rows.map(row => `${JSON.stringify(row)}\n`).join(''));
  return file;
}

describe.each(['SNAPPY', 'ZSTD', 'UNCOMPRESSED'] as const)('%s, several row groups', codec => {
  test('AIME 2024: the answer, an integer, is text; the problem stands in its instructions', async () => {
    const rows = Array.from({ length: 30 }, (_, i) => ({
      ID: `2024-${i}`,
      Problem: `What is $${i}+1$?`,
      Answer: BigInt(i + 1),
    }));
    const columns: Record<string, Kind> = { ID: 'text', Problem: 'text', Answer: 'integer' };
    const tasks = all(
      await openTasks(
        { source: writeParquet(`aime-${codec}.parquet`, columns, rows, { codec, rowGroupSize: 7 }) },
        { name: 'aime24' },
      ),
    );
    expect(tasks.map(({ answer }) => answer)).toEqual(rows.map(({ Answer }) => String(Answer)));
    expect(tasks.map(({ id }) => id)).toEqual(rows.map((_, i) => `aime24/${i}`));
    expect(tasks[7].messages).toHaveLength(1);
    expect(tasks[7].messages[0].content).toMatch(/What is \$7\+1\$\?\n.*python tool.*\\boxed\{answer\}$/s);
  });

  test('reinforcement learning: nested columns, the kind of prompt by the source', async () => {
    const columns: Record<string, Kind> = {
      data_source: 'text',
      prompt: chat,
      ability: 'text',
      reward_model: { ground_truth: 'text', style: 'text' },
      extra_info: { index: 'integer', split: 'text' },
    };
    const row = (data_source: string, ground_truth: string) => ({
      data_source,
      prompt: [{ role: 'user', content: `A problem of ${data_source}` }],
      ability: 'MATH',
      reward_model: { ground_truth, style: 'rule' },
      extra_info: { index: 3n, split: 'train' },
    });
    const tests = { inputs: ['1 2\n', '3 4\n'], outputs: ['3\n', '7\n'] };
    const rows = [
      row('math_dapo', '34'),
      row('skywork-math', '\\frac{1}{2}'),
      row('skywork-code', JSON.stringify(tests)),
    ];
    const source = writeParquet(`rl-${codec}.parquet`, columns, rows, { codec, rowGroupSize: 2 });
    const [dapo, skywork, code] = all(await openTasks({ source }));
    expect(dapo).toMatchObject({ answer: '34' });
    expect(dapo.messages[0].content).toMatch(/^A problem of math_dapo\n/);
    expect(skywork.answer).toBe('\\frac{1}{2}');
    expect(skywork.messages[0].content).toMatch(/^Solve this mathematics problem.*without any unit/s);
    expect(code).toMatchObject({ answer: '', tests });
    expect(code.messages[0].content).toMatch(/standard input.*```python/s);
  });

  test('demonstrations: calls as the OpenAI format has them, arguments as JSON or as a struct with nulls', async () => {
    const columns: Record<string, Kind> = {
      messages: [
        {
          role: 'text',
          content: 'text',
          tool_calls: [{ type: 'text', function: { name: 'text', arguments: { code: 'text', city: 'text' } } }],
        },
      ],
      tools: 'text',
    };
    const schema = {
      name: 'python',
      description: 'Runs code',
      parameters: { type: 'object', properties: { code: { type: 'string' } } },
    };
    const messages = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'What is 2+2?' },
      {
        role: 'assistant',
        content: 'Let me see.',
        tool_calls: [{ type: 'function', function: { name: 'python', arguments: { code: '2+2', city: null } } }],
      },
      { role: 'tool', content: '4' },
      { role: 'assistant', content: 'It is \\boxed{4}.' },
    ];
    const rows = Array.from({ length: 5 }, () => ({
      messages,
      tools: JSON.stringify([{ type: 'function', function: schema }]),
    }));
    const source = writeParquet(`sft-${codec}.parquet`, columns, rows, { codec, rowGroupSize: 2 });
    const demonstrations = all(await openDemonstrations({ source }));
    expect(demonstrations).toHaveLength(5);
    expect(demonstrations[4]).toEqual({
      messages: messages.slice(0, 2),
      solution: [
        { role: 'assistant', content: 'Let me see.', toolCalls: [{ name: 'python', arguments: { code: '2+2' } }] },
        { role: 'tool', content: '4' },
        { role: 'assistant', content: 'It is \\boxed{4}.' },
      ],
      tools: [schema],
    });
  });
});

test.each([2_000, 300_000, undefined])(
  'a single row group in pages of %j bytes: every row, once and in order',
  async pageSize => {
    const columns: Record<string, Kind> = { data_source: 'text', prompt: chat, reward_model: { ground_truth: 'text' } };
    const rows = Array.from({ length: 3000 }, (_, i) => ({
      data_source: 'math_dapo',
      prompt: [
        ...Array.from({ length: i % 4 }, () => ({ role: 'system', content: 'x'.repeat(i) })),
        { role: 'user', content: `Problem ${i} ${'y'.repeat((i * 37) % 4000)}` },
      ],
      reward_model: { ground_truth: String(i) },
    }));
    const source = writeParquet(`pages-${pageSize}.parquet`, columns, rows, { rowGroupSize: 3000, pageSize });
    const tasks = all(await openTasks({ source }, { prompts: { instructed: '{problem}' } }));
    expect(tasks.map(({ answer }) => answer)).toEqual(rows.map((_, i) => String(i)));
    expect(tasks.map(({ messages }) => messages)).toEqual(rows.map(({ prompt }) => prompt));
  },
);

test('AIME 2025, GPQA-Diamond', async () => {
  const aime = writeParquet('aime25.parquet', { problem: 'text', answer: 'text' }, [
    { problem: 'One?', answer: ' 070 ' },
  ]);
  expect(await only(aime)).toMatchObject({ answer: '070' });
  const gpqa = writeParquet('gpqa.parquet', { problem: 'text', solution: 'text', domain: 'text' }, [
    { problem: 'Which? A. this B. that', solution: 'B', domain: 'Physics' },
  ]);
  const task = await only(gpqa);
  expect(task.answer).toBe('B');
  expect(task.messages[0].content).toMatch(/^Solve this Physics problem.*uppercase letter/s);
});

test('LiveCodeBench: programs and functions, tests as JSON in text, megabytes long', async () => {
  const long = `${'9 '.repeat(2 ** 20)}\n`;
  const program = { ground_truth: { inputs: [long, '1\n'], outputs: ['x\n', 'y\n'] }, style: 'rule' };
  const method = { inputs: ['[1, 2]\n3'], outputs: ['6'], fn_name: 'total' };
  const columns: Record<string, Kind> = { problem: 'text', reward_model: 'text', extra_info: 'text' };
  const rows = [program, method].map(tests => ({
    problem: 'Do it.',
    reward_model: JSON.stringify(tests),
    extra_info: '{"difficulty": "hard"}',
  }));
  const tasks = all(await openTasks({ source: writeParquet('lcb.parquet', columns, rows, { codec: 'ZSTD' }) }));
  expect(tasks[0].tests).toEqual({ inputs: [long, '1\n'], outputs: ['x\n', 'y\n'] });
  expect(tasks[1].tests).toEqual({ fnName: 'total', inputs: ['[1, 2]\n3'], outputs: ['6'] });
  expect(tasks[1].messages[0].content).toContain('`total`');
});

test("one's own: prompt and answer as JSON lines, a dialogue as it is, hints, tests", async () => {
  const dialogue = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'How many?' },
  ];
  const source = lines('own.jsonl', [
    { prompt: 'How much is $& and {domain}?', answer: 4.5 },
    { prompt: dialogue, answer: 'many', hint: 'count' },
  ]);
  const [first, second] = all(await openTasks({ source }));
  expect(first.answer).toBe('4.5');
  expect(first.messages[0].content).toMatch(/^How much is \$& and \{domain\}\?\n.*\\boxed/s);
  expect(second).toMatchObject({ messages: dialogue, answer: 'many', hint: 'count' });
  const code = lines('code.jsonl', [{ prompt: 'Add.', tests: { inputs: [[1, 2]], outputs: [3], fn_name: 'add' } }]);
  expect((await only(code)).tests).toEqual({ fnName: 'add', inputs: ['1\n2'], outputs: ['3'] });
});

test('another template takes the place of the one that is there', async () => {
  const source = lines('template.jsonl', [{ prompt: 'How many?', answer: 4 }]);
  const tasks = await openTasks({ source }, { prompts: { question: 'Q: {problem}\nA:' } });
  expect(tasks.read(0).messages).toEqual([{ role: 'user', content: 'Q: How many?\nA:' }]);
});

test('calls that are written in the text are calls', async () => {
  const call = '<tool_call>\n{"name": "python", "arguments": {"code": "1"}}\n</tool_call>';
  const messages = [
    { role: 'user', content: 'One?' },
    { role: 'assistant', content: `So.\n${call}` },
    { role: 'tool', content: '1' },
    { role: 'assistant', content: 'Yes.' },
  ];
  const demonstrations = await openDemonstrations({ source: lines('written.jsonl', [{ messages }]) });
  expect(demonstrations.read(0).solution[0]).toEqual({
    role: 'assistant',
    content: 'So.',
    toolCalls: [{ name: 'python', arguments: { code: '1' } }],
  });
});

test('thoughts of demonstrations, written in the text or beside it; where they can be none, the row is refused', async () => {
  const dialogue = (turn: object) => ({
    messages: [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', ...turn },
    ],
  });
  const said = { role: 'assistant', reasoning: 'A greeting.', content: 'Hello!' };
  const rows = [
    { content: '<think>\nA greeting.\n</think>\n\nHello!' },
    { content: 'Hello!', reasoning_content: '\nA greeting.\n' },
  ];
  const read = all(await openDemonstrations({ source: lines('thoughts.jsonl', rows.map(dialogue)) }));
  expect(read.map(({ solution }) => solution)).toEqual([[said], [said]]);
  const wrong = lines('thoughtless.jsonl', [dialogue({ content: 'Hello! <think>A greeting.</think>' })]);
  await expect(openDemonstrations({ source: wrong })).rejects.toThrow(
    /thoughtless\.jsonl, line 1: messages\.1\.content: <think> and <\/think> stand for a thought/s,
  );
});
