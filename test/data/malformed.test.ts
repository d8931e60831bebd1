import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { openDemonstrations, openTasks } from '../../src/data/tasks.ts';
import { UserError } from '../../src/errors.ts';
import { folder, type Kind, writeParquet } from './writeParquet.ts';

const good = { prompt: 'How many?', answer: '4' };
const user = { role: 'user', content: 'How many?' };
const called = { role: 'assistant', content: '', tool_calls: [{ function: { name: 'python', arguments: '{}' } }] };
const observed = { role: 'tool', content: '4' };
const answered = { role: 'assistant', content: '\\boxed{4}' };

let files = 0;

function file(content: string | Uint8Array, extension = 'jsonl'): string {
  const path = join(folder, `${files++}.${extension}`);
  writeFileSync(path, content);
  return path;
}

/** A good row, then this one. */
function second(row: unknown): string {
  return file(`${JSON.stringify(good)}\n${JSON.stringify(row)}\n`);
}

function one(row: unknown): string {
  return file(`${JSON.stringify(row)}\n`);
}

function parquet(columns: Record<string, Kind>, row: Record<string, unknown>): string {
  return writeParquet(`${files++}.parquet`, columns, [row]);
}

function damaged(harm: (bytes: Buffer) => Uint8Array): string {
  const rows = Array.from({ length: 100 }, (_, i) => ({ problem: `Problem ${i} ${'x'.repeat(i)}`, answer: String(i) }));
  const path = writeParquet(`${files++}.parquet`, { problem: 'text', answer: 'text' }, rows);
  return file(harm(readFileSync(path)), 'parquet');
}

const rl = { data_source: 'math_dapo', prompt: [user], reward_model: { ground_truth: '4' } };
const lcb = (tests: unknown) => ({
  problem: 'Do it.',
  reward_model: typeof tests === 'string' ? tests : JSON.stringify(tests),
});
const aimeColumns: Record<string, Kind> = { Problem: 'text', Answer: 'integer' };

const tasks: [name: string, file: () => string, cause: RegExp][] = [
  ['no such file', () => join(folder, 'none.parquet'), /no dataset .*none\.parquet: no such file or folder/],
  ['a name that is on the Hub', () => 'Gen-Verse/Open-AgentRL-30K', /hf:Gen-Verse\/Open-AgentRL-30K/],
  ['an empty file', () => file(''), /\d\.jsonl: the file is empty/],
  ['blank lines alone', () => file('\n \n'), /the file has no rows/],
  ['compressed lines', () => file(gzipSync('{}')), /is compressed; unpack it first/],
  ['one JSON array', () => file(JSON.stringify([good])), /is one JSON array; data is read as JSON lines/],
  ['a line that is cut', () => file(`${JSON.stringify(good)}\n{"prompt": "How`), /, line 2: not valid JSON/],
  ['a line that is no object', () => second(['How many?', '4']), /, line 2: must be an object/],
  ['text that is no JSON', () => file('prompt,answer\nHow many?,4\n', 'csv'), /, line 1: not valid JSON/],
  [
    'columns of no layout',
    () => one({ question: 'How many?', answer: '4' }),
    /column '\w+' is missing.*the file has question, answer.*AIME 2025 \(problem, answer\).*your own \(prompt, answer\)/,
  ],
  [
    'a column that is missing',
    () => parquet({ problem: 'text', domain: 'text' }, { problem: 'Which?', domain: 'Physics' }),
    /column 'solution' is missing \(for the layout GPQA\); the file has problem, domain/,
  ],
  ['a row without its answer', () => second({ prompt: 'How many?' }), /, line 2: answer: must be text or a number/],
  ['an empty answer', () => second({ prompt: 'How many?', answer: ' ' }), /, line 2: answer: is empty/],
  ['an answer that is a list', () => second({ prompt: 'How many?', answer: [4] }), /answer: must be text or a number/],
  ['an empty prompt', () => second({ prompt: '', answer: 4 }), /, line 2: prompt: is empty/],
  [
    'a prompt that is a number',
    () => second({ prompt: 4, answer: 4 }),
    /, line 2: prompt: must be text or a list of messages/,
  ],
  ['a dialogue without messages', () => second({ prompt: [], answer: 4 }), /, line 2: prompt: has no message/],
  [
    'a dialogue in which the assistant speaks',
    () => second({ prompt: [user, answered], answer: 4 }),
    /, line 2: prompt\.1\.role: role must be 'system' or 'user'/,
  ],
  [
    'a dialogue that ends with the system',
    () => second({ prompt: [{ role: 'system', content: 'x' }], answer: 4 }),
    /prompt: the last message must be the user's/,
  ],
  [
    'a problem that is null',
    () => parquet(aimeColumns, { Problem: null, Answer: 4n }),
    /, row 1: Problem: must be text/,
  ],
  [
    'an answer that is null',
    () => parquet(aimeColumns, { Problem: 'How many?', Answer: null }),
    /, row 1: Answer: must be text or a number/,
  ],
  [
    'an option that is no letter',
    () => one({ problem: 'Which?', solution: '\\boxed{B}', domain: 'Physics' }),
    /, line 1: solution: must be the letter of an option/,
  ],
  ['tests that are no JSON', () => one(lcb('{"inputs": [')), /, line 1: reward_model: is not valid JSON/],
  ['tests without outputs', () => one(lcb({ inputs: ['1'] })), /, line 1: reward_model.*outputs: must be a list/],
  [
    'tests of unequal number',
    () => one(lcb({ inputs: ['1', '2'], outputs: ['1'] })),
    /, line 1: reward_model: has 2 inputs and 1 outputs/,
  ],
  ['no tests', () => one(lcb({ inputs: [], outputs: [] })), /inputs: has no test/],
  [
    'a program whose input is no text',
    () => one(lcb({ inputs: [[1]], outputs: ['1'] })),
    /reward_model: inputs and outputs of a program must be text/,
  ],
  [
    'extra_info that is no JSON',
    () => one({ ...lcb({ inputs: ['1'], outputs: ['1'] }), extra_info: '{' }),
    /extra_info: is not valid JSON/,
  ],
  [
    'a reward model without truth',
    () => one({ ...rl, reward_model: {} }),
    /, line 1: reward_model\.ground_truth: must be text or a number/,
  ],
  [
    'code whose truth is no tests',
    () => one({ ...rl, data_source: 'skywork-code' }),
    /, line 1: reward_model\.ground_truth/,
  ],
  ['a reward model that is text', () => one({ ...rl, reward_model: 'four' }), /reward_model: is not valid JSON/],
  [
    'a Parquet file that is cut',
    () => damaged(bytes => bytes.subarray(0, bytes.length - 100)),
    /the Parquet file is damaged or not supported/,
  ],
  [
    'a Parquet file of its first bytes',
    () => damaged(bytes => bytes.subarray(0, 6)),
    /the Parquet file is damaged or not supported/,
  ],
  [
    'a Parquet file with zeros for data',
    () => damaged(bytes => bytes.fill(0, 10, 400)),
    /the Parquet file is damaged or not supported/,
  ],
  ['a Parquet file without rows', () => writeParquet(`${files++}.parquet`, aimeColumns, []), /the file has no rows/],
];

test.each(tasks)('%s is refused, with the cause', async (_, make, cause) => {
  const source = make();
  const refusal = openTasks({ source });
  await expect(refusal).rejects.toThrow(cause);
  await expect(refusal).rejects.toBeInstanceOf(UserError);
  await expect(refusal).rejects.toThrow(source);
});

const dialogues: [name: string, row: unknown, cause: RegExp][] = [
  ['no messages', { messages: [] }, /messages: no message is the assistant/],
  ['messages that are text', { messages: 'hello' }, /messages: is not valid JSON/],
  ['a role that is unknown', { messages: [user, { role: 'bot', content: 'hi' }] }, /messages\.1\.role: role must be/],
  [
    'an observation without a call',
    { messages: [user, answered, observed, answered] },
    /messages: message 2 is answered by a tool, but makes no call/,
  ],
  [
    'a call that is not answered',
    { messages: [user, called, answered] },
    /messages: message 3 is the assistant's, where the tool's is wanted/,
  ],
  [
    'a person who speaks amid the turns',
    { messages: [user, called, observed, user, answered] },
    /messages: message 4 is the user's, amid the turns/,
  ],
  ['nobody asks', { messages: [answered] }, /messages: the user's message is missing/],
  [
    'arguments that are no JSON',
    {
      messages: [
        user,
        { ...called, tool_calls: [{ function: { name: 'python', arguments: '{' } }] },
        observed,
        answered,
      ],
    },
    /messages\.1\.tool_calls\.0\.function\.arguments: is not valid JSON/,
  ],
  [
    'a call in the text that is not closed',
    { messages: [user, { role: 'assistant', content: '<tool_call>{' }, observed, answered] },
    /messages\.1\.content: tool call is not closed/,
  ],
  ['tools without a function', { messages: [user, answered], tools: '[{"name": "python"}]' }, /tools\.0\.function: /],
];

test.each(dialogues)('a demonstration with %s is refused, with the cause', async (_, row, cause) => {
  const refusal = openDemonstrations({ source: one(row) });
  await expect(refusal).rejects.toThrow(cause);
  await expect(refusal).rejects.toBeInstanceOf(UserError);
  await expect(refusal).rejects.toThrow(', line 1: ');
});

test('a folder without data is refused, with what there is', async () => {
  const { mkdtempSync } = await import('node:fs');
  const empty = mkdtempSync(join(folder, 'folder-'));
  writeFileSync(join(empty, 'README.md'), '');
  await expect(openTasks({ source: empty })).rejects.toThrow(/no Parquet or JSON lines file; there is README\.md/);
});
