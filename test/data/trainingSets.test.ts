import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Spool } from '../../src/data/spool.ts';
import { openDemonstrations, openTasks } from '../../src/data/tasks.ts';
import { stringifyJson } from '../../src/json.ts';
import { parsePythonLiteral } from '../../src/pythonLiteral.ts';
import { Grader } from '../../src/rewards/grader.ts';
import { columns, dialogueColumns, messages, problems, program, row, writeProblems } from './trainingRows.ts';
import { folder, type Kind, writeParquet } from './writeParquet.ts';

const grader = new Grader({ equivalence: 'exact' });
afterAll(() => grader.close());

function all<T>(spool: Spool<T>): T[] {
  return Array.from({ length: spool.length }, (_, i) => spool.read(i));
}

const source = writeProblems();

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
  const rows = [messages, [...messages, { role: 'tool', content: 'three' }]].map(messages => ({ messages }));
  const read = all(await openDemonstrations({ source: writeParquet('sft.parquet', dialogueColumns, rows) }));
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
