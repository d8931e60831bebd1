/** Rows as the paper's training sets and those that they were made from have them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { parsePythonLiteral } from '../../src/data/pythonLiteral.ts';
import type { Spool } from '../../src/data/spool.ts';
import { openDemonstrations, openTasks } from '../../src/data/tasks.ts';
import { stringifyJson } from '../../src/json.ts';
import { Grader } from '../../src/rewards/grader.ts';
import { folder, type Kind, writeParquet } from './writeParquet.ts';

const grader = new Grader({ equivalence: 'exact' });
afterAll(() => grader.close());

function all<T>(spool: Spool<T>): T[] {
  return Array.from({ length: spool.length }, (_, i) => spool.read(i));
}

const columns: Record<string, Kind> = {
  data_source: 'text',
  prompt: [{ role: 'text', content: 'text' }],
  ability: 'text',
  reward_model: { ground_truth: 'text', style: 'text' },
  extra_info: { index: 'integer' },
};

function row(data_source: string, truth: unknown) {
  return {
    data_source,
    prompt: [{ role: 'user', content: 'Solve it.' }],
    ability: 'x',
    reward_model: { ground_truth: typeof truth === 'string' ? truth : JSON.stringify(truth), style: 'rule' },
    extra_info: { index: 2n ** 60n },
  };
}

const program = (code: string) => `So:\n\`\`\`python\n${code}\n\`\`\``;
const adding = 'class Solution:\n    def add(self, a, b): return a + b';
const check = 'def check(candidate):\n    assert candidate(a=1, b=2) == 3\n    assert candidate(a=Two, b=2) == 4\n';

const problems: [name: string, row: Record<string, unknown>, right: string, wrong: string, score: number][] = [
  ['a list of one answer as text', row('math_dapo', '["42"]'), '\\boxed{42}', '\\boxed{["42"]}', -1],
  ['answers as a list of Python', row('skywork-math', "['1/2', '0.5']"), '\\boxed{0.5}', '\\boxed{2}', -1],
  ['a list that is the answer', row('math_dapo', '[1, 2]'), '\\boxed{[1, 2]}', '\\boxed{1}', -1],
  [
    'a function that checks',
    row('leetcode', { import_prefix: 'Two = 2', test_code: check, entry_point: 'Solution().add' }),
    program(adding),
    program(adding.replace('+', '-')),
    0,
  ],
  [
    'assertions',
    row('skywork-code', { assert_case: ['assert add(1, 2) == 3', '', 'assert add(2, 2) == 4'], inputs: ['', '', ''] }),
    program('def add(a, b): return a + b'),
    program('def add(a, b): return 3'),
    0.5,
  ],
  [
    'lists of text',
    row('skywork-code', { inputs: ['1 2\n', '3 4\n'], outputs: ['3\n', '7\n'] }),
    program('print(sum(map(int, input().split())))'),
    program('print(3)'),
    0.5,
  ],
  [
    'lists as literals of Python',
    row('skywork-code', { inputs: '[\'1 2\\n\', "3 4\\n"]', outputs: "('3\\n', '7\\n',)" }),
    program('print(sum(map(int, input().split())))'),
    program('print(7)'),
    0.5,
  ],
  [
    "a function's arguments as a literal of Python",
    row('skywork-code', { inputs: '[(1, 2), [True, None]]', outputs: '[[1, 2], [True, None]]', fn_name: 'pair' }),
    program('def pair(a, b): return [a, b]'),
    program('def pair(a, b): return [1, 2]'),
    0.5,
  ],
];

const source = writeParquet(
  'rl.parquet',
  columns,
  problems.map(([, row]) => row),
);

test.each(problems.map(([name, , right, wrong, score], i) => ({ name, right, wrong, score, i })))(
  'a problem whose truth is $name is read and judged',
  async ({ right, wrong, score, i }) => {
    const task = (await openTasks({ source })).read(i);
    expect(await grader.judge(task, right)).toMatchObject({ score: 1, correct: true });
    expect(await grader.judge(task, wrong)).toMatchObject({ score, correct: false });
  },
);

test('a program that ends before it is checked has not passed', async () => {
  const task = (await openTasks({ source })).read(3);
  expect(await grader.judge(task, program('raise SystemExit'))).toMatchObject({ score: 0 });
});

test('the prompt names the function that the tests call', async () => {
  const prompts = all(await openTasks({ source })).map(({ messages }) => messages[0].content);
  expect([3, 4, 7].map(i => /tests call `(\w+)`/.exec(prompts[i])?.[1])).toEqual(['add', 'add', 'pair']);
  expect(prompts[5]).toContain('standard input');
});

test('lists of Parquet and its integers of 64 bits, as answers, inputs and outputs', async () => {
  const numbers = { inputs: [['integer']], outputs: ['integer'], fn_name: 'text', test_code: 'text' } as Kind;
  const rl = { ...columns, reward_model: { ground_truth: ['integer'] as Kind } };
  const asNumbers = writeParquet('integers.parquet', rl, [
    { ...row('math_dapo', ''), reward_model: { ground_truth: [2n ** 60n + 1n] } },
  ]);
  expect((await openTasks({ source: asNumbers })).read(0).answer).toBe(String(2n ** 60n + 1n));
  const code = { ...columns, reward_model: { ground_truth: numbers } };
  const truth = { inputs: [[2n ** 60n, 1n]], outputs: [2n ** 60n + 1n], fn_name: 'add', test_code: null };
  const asTests = writeParquet('tests.parquet', code, [{ ...row('code', ''), reward_model: { ground_truth: truth } }]);
  const { tests } = (await openTasks({ source: asTests })).read(0);
  expect(tests).toEqual({ fnName: 'add', inputs: [`${2n ** 60n}\n1`], outputs: [String(2n ** 60n + 1n)] });
  const single = { prompt: [{ role: 'user', content: 'Solve it.' }], tests: { inputs: [7], outputs: [8] } };
  const ofNumbers = join(folder, 'numbers.jsonl');
  writeFileSync(ofNumbers, JSON.stringify(single));
  expect((await openTasks({ source: ofNumbers })).read(0).tests).toEqual({ inputs: ['7'], outputs: ['8'] });
});

test('dialogues with several calls a turn, several answers, thoughts, and an end without an answer', async () => {
  const called = (...codes: string[]) => ({
    role: 'assistant',
    content: 'Let me see.',
    reasoning_content: 'Hm.',
    tool_calls: codes.map(code => ({ type: 'function', function: { name: 'code_interpreter', arguments: { code } } })),
  });
  const messages = [
    { role: 'user', content: 'What?' },
    called('1', '2'),
    { role: 'tool', content: 'one' },
    { role: 'tool', content: 'two' },
    called('3'),
  ];
  const kinds: Record<string, Kind> = {
    messages: [
      {
        role: 'text',
        content: 'text',
        reasoning_content: 'text',
        tool_calls: [{ type: 'text', function: { name: 'text', arguments: { code: 'text' } } }],
      },
    ],
  };
  const rows = [messages, [...messages, { role: 'tool', content: 'three' }]].map(messages => ({ messages }));
  const read = all(await openDemonstrations({ source: writeParquet('sft.parquet', kinds, rows) }));
  const call = (code: string) => ({ name: 'code_interpreter', arguments: { code } });
  const thought = { role: 'assistant', content: 'Let me see.', reasoning: 'Hm.' };
  const solution = [
    { ...thought, toolCalls: [call('1'), call('2')] },
    ...messages.slice(2, 4),
    { ...thought, toolCalls: [call('3')] },
  ];
  expect(read.map(({ solution }) => solution)).toEqual([solution, solution]);
});

test.each([
  ['[]', '[]'],
  ["['a', \"b'\", '''c\n\"d\"''', r'\\n', u'\\u00e9' 'x']", '["a","b\'","c\\n\\"d\\"","\\\\n","éx"]'],
  ["'\\x41\\101\\n\\\\\\'\\q\\\n'", '"AA\\n\\\\\'\\\\q"'],
  ['(1, -2.50, 1e3, +7, 1_000, 12345678901234567890, .5)', '[1,-2.5,1000.0,7,1000,12345678901234567890,0.5]'],
  ['(1)', '1'],
  ['(1,)', '[1]'],
  ["{'a': True, 1: [None, False,],}", '{"1":[null,false],"a":true}'],
])('the literal %j is %s', (literal, json) => {
  expect(stringifyJson(parsePythonLiteral(literal))).toBe(json);
});

test.each(['', '[1', '[1 2]', 'print(1)', '[].append', "'a", '{1}', '1 + 1', '__import__("os")', '['.repeat(1000)])(
  '%j is no literal',
  source => {
    expect(() => parsePythonLiteral(source)).toThrow(SyntaxError);
  },
);
