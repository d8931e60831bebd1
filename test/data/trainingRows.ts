/** Rows as the paper's training sets, and those that they were made from, have them. */
import { type Kind, writeParquet } from './writeParquet.ts';

export const columns: Record<string, Kind> = {
  data_source: 'text',
  prompt: [{ role: 'text', content: 'text' }],
  ability: 'text',
  reward_model: { ground_truth: 'text', style: 'text' },
  extra_info: { index: 'integer' },
};

export function row(data_source: string, truth: unknown) {
  return {
    data_source,
    prompt: [{ role: 'user', content: 'Solve it.' }],
    ability: 'x',
    reward_model: { ground_truth: typeof truth === 'string' ? truth : JSON.stringify(truth), style: 'rule' },
    extra_info: { index: 2n ** 60n },
  };
}

export const program = (code: string) => `So:\n\`\`\`python\n${code}\n\`\`\``;
const adding = 'class Solution:\n    def add(self, a, b): return a + b';
const check = 'def check(candidate):\n    assert candidate(a=1, b=2) == 3\n    assert candidate(a=Two, b=2) == 4\n';

export const problems: [name: string, row: Record<string, unknown>, right: string, wrong: string, score: number][] = [
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

/** A file of all problems. */
export function writeProblems(): string {
  return writeParquet(
    'rl.parquet',
    columns,
    problems.map(([, row]) => row),
  );
}

/** Several calls a turn, several answers, thoughts, and an end without an answer. */
const called = (...codes: string[]) => ({
  role: 'assistant',
  content: 'Let me see.',
  reasoning_content: 'Hm.',
  tool_calls: codes.map(code => ({ type: 'function', function: { name: 'code_interpreter', arguments: { code } } })),
});
export const messages = [
  { role: 'user', content: 'What?' },
  called('1', '2'),
  { role: 'tool', content: 'one' },
  { role: 'tool', content: 'two' },
  called('3'),
];
export const dialogueColumns: Record<string, Kind> = {
  messages: [
    {
      role: 'text',
      content: 'text',
      reasoning_content: 'text',
      tool_calls: [{ type: 'text', function: { name: 'text', arguments: { code: 'text' } } }],
    },
  ],
};
