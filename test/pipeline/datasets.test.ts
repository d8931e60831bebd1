import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { openDemonstrations, openTasks } from '../../src/data/tasks.ts';
import { Random } from '../../src/random.ts';
import { PythonPool } from '../../src/tools/python/pool.ts';
import { pythonTool } from '../../src/tools/python/tool.ts';
import { toolSchema } from '../../src/tools/schema.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { train } from '../../src/train/train.ts';
import { cli } from '../cli.ts';
import { type Kind, writeParquet } from '../data/writeParquet.ts';

const folder = mkdtempSync(join(tmpdir(), 'sod-benchmarks-'));
const model = join(folder, 'run', 'final');

/** A problem, what the model is taught to say to it, and whether that is right. */
interface Lesson {
  row: Record<string, unknown>;
  code: string;
  observation: string;
  answer: string;
}

const program = (body: string) => `\`\`\`python\n${body}\n\`\`\``;
const tests = (inputs: string[], outputs: string[], fn_name?: string) => JSON.stringify({ inputs, outputs, fn_name });

/** Of each benchmark, in the layout of its file: the first problem is taught right, the second one wrong. */
const lessons: Record<string, { columns: Record<string, Kind>; lessons: Lesson[] }> = {
  aime24: {
    columns: { Problem: 'text', Answer: 'integer' },
    lessons: [
      { row: { Problem: 'How many apples?', Answer: 42n }, code: '6*7', observation: '42\n', answer: '\\boxed{42}' },
      { row: { Problem: 'How many pears?', Answer: 7n }, code: '3+5', observation: '8\n', answer: '\\boxed{8}' },
    ],
  },
  aime25: {
    columns: { problem: 'text', answer: 'text' },
    lessons: [
      {
        row: { problem: 'What is half of one?', answer: '0.5' },
        code: '1/2',
        observation: '0.5\n',
        answer: '\\boxed{\\frac{1}{2}}',
      },
      {
        row: { problem: 'What is one and one?', answer: '2' },
        code: '1+',
        observation: 'SyntaxError\n',
        answer: '\\boxed{3}',
      },
    ],
  },
  'gpqa-diamond': {
    columns: { problem: 'text', solution: 'text', domain: 'text' },
    lessons: [
      {
        row: { problem: 'Which one is red?', solution: 'B', domain: 'Physics' },
        code: '1',
        observation: '1\n',
        answer: '\\boxed{B}',
      },
      {
        row: { problem: 'Which one is blue?', solution: 'C', domain: 'Biology' },
        code: '2',
        observation: '2\n',
        answer: '\\boxed{D}',
      },
    ],
  },
  'livecodebench-v6': {
    columns: { problem: 'text', reward_model: 'text', extra_info: 'text' },
    lessons: [
      {
        row: {
          problem: 'Add the numbers.',
          reward_model: tests(['1 2\n', '3 4 5\n'], ['3\n', '12.0\n']),
          extra_info: '{}',
        },
        code: '1+2',
        observation: '3\n',
        answer: program('print(sum(map(int, input().split())))'),
      },
      {
        row: {
          problem: 'Write the function twice.',
          reward_model: tests(['1', '5'], ['2', '10'], 'twice'),
          extra_info: '{}',
        },
        code: '5',
        observation: '5\n',
        answer: program('def twice(x): return x + 1'),
      },
    ],
  },
};

const files = Object.fromEntries(
  Object.entries(lessons).map(([name, { columns, lessons }]) => {
    const rows = lessons.map(({ row }) => row);
    return [name, writeParquet(`${name}.parquet`, columns, rows, { codec: 'ZSTD', rowGroupSize: 1 })];
  }),
);
const benchmarks = Object.entries(files)
  .map(([name, file]) => `${name}=${file}`)
  .join(',');

/** A small model that has learned all lessons by heart, each with a call of its tool. */
beforeAll(async () => {
  const pool = new PythonPool();
  const tools = [{ type: 'function', function: toolSchema(pythonTool(pool.session())) }];
  const rows: unknown[] = [];
  for (const [name, { lessons: taught }] of Object.entries(lessons)) {
    const problems = await openTasks({ source: files[name] });
    for (const [i, { code, observation, answer }] of taught.entries()) {
      const call = { function: { name: 'python', arguments: JSON.stringify({ code }) } };
      const solution = [
        { role: 'assistant', content: '', tool_calls: [call] },
        { role: 'tool', content: observation },
        { role: 'assistant', content: answer },
      ];
      rows.push({ messages: [...problems.read(i).messages, ...solution], tools });
    }
  }
  await pool.close();
  const dataset = join(folder, 'lessons.jsonl');
  writeFileSync(dataset, rows.map(row => `${JSON.stringify(row)}\n`).join(''));
  const recipe = parseRecipe({
    method: 'sft',
    dataset,
    init: { hiddenSize: 64, intermediateSize: 128, layers: 2, heads: 2, kvHeads: 1, headDim: 32 },
    training: { epochs: 120, batchSize: 8 },
    optimizer: { learningRate: 3e-3 },
  });
  await train(recipe, { runDir: join(folder, 'run') });
}, 180_000);

function sod(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

const settings = ['--samples', '3', '--runs', '2', '--max-tokens', '400', '--temperature', '0.5'];

test('all four layouts are sampled, judged and summed up', () => {
  const out = join(folder, 'exact');
  const table = sod('eval', model, '--benchmark', benchmarks, ...settings, '--out', out);
  const { benchmarks: results } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
  const average = Object.fromEntries(
    results.map((result: { name: string; average: unknown }) => [result.name, result.average]),
  );
  expect(average).toEqual({
    aime24: { mean: 50, std: 0 },
    aime25: { mean: 0, std: 0 },
    'gpqa-diamond': { mean: 50, std: 0 },
    'livecodebench-v6': { mean: 50, std: 0 },
  });
  expect(results[0]).toMatchObject({
    tasks: 2,
    averages: [50, 50],
    majority: { mean: 50 },
    toolTurns: { mean: 1 },
    truncated: { mean: 0 },
  });
  expect(results[0].passAtK).toEqual({ 1: { mean: 50, std: 0 }, 2: { mean: 50, std: 0 }, 3: { mean: 50, std: 0 } });
  expect(results[1].toolSuccessRate.mean).toBe(50);
  expect(results[3].majority).toBeNull();
  expect(table).toContain('| 0.6B | SOD | 20.84 | 26.13 | 22.19 | 27.72 | 24.22 |');
  expect(table).toContain('**50.00 ± 0.00** | **0.00 ± 0.00** | **50.00 ± 0.00** | **50.00 ± 0.00** | **37.50** |');
  const first = JSON.parse(readFileSync(join(out, 'aime24', 'trajectories.jsonl'), 'utf8').split('\n')[0]);
  expect(first).toMatchObject({ run: 0, task: 0, sample: 0, id: 'aime24/0', correct: true, answer: '42', calls: 1 });
  expect(first.steps).toEqual([expect.objectContaining({ observation: '42\n' }), { text: '\\boxed{42}' }]);
});

test('by equal values a half is a half', () => {
  const out = join(folder, 'math');
  sod('eval', model, '--benchmark', `aime25=${files.aime25}`, ...settings, '--equivalence', 'math', '--out', out);
  const { benchmarks: results } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'));
  expect(results[0].average.mean).toBe(50);
});

test('an evaluation that is killed again and again ends with the same files as one that is not', async () => {
  const args = ['eval', model, '--benchmark', benchmarks, '--samples', '10', '--max-tokens', '400'];
  const whole = join(folder, 'whole');
  const start = performance.now();
  sod(...args, '--out', whole);
  const duration = performance.now() - start;
  const killed = join(folder, 'killed');
  const random = Random.of(0, 'kill');
  let kills = 0;
  for (let attempt = 0; attempt < 2; attempt++) {
    const child = spawn(process.execPath, [cli, ...args, '--out', killed], { stdio: 'ignore' });
    const exited = new Promise<number | null>(resolve => child.on('exit', resolve));
    const ended = await Promise.race([exited, sleep((0.3 + 0.5 * random.uniform()) * duration, 'late' as const)]);
    if (ended === 'late') {
      child.kill('SIGKILL');
      await exited;
      kills++;
    }
  }
  expect(kills).toBeGreaterThan(0);
  sod(...args, '--out', killed);
  expect(contents(killed)).toEqual(contents(whole));
});

test('samples that were made with other settings are not mixed', () => {
  const out = join(folder, 'exact');
  const { status, stderr } = spawnSync(
    process.execPath,
    [cli, 'eval', model, '--benchmark', benchmarks, ...settings, '--top-p', '0.9', '--out', out],
    { encoding: 'utf8' },
  );
  expect(status).toBe(1);
  expect(stderr).toMatch(/holds samples that were made with another topP .*choose another folder/);
});

test('what a model does well is collected, and is a demonstration', async () => {
  const out = join(folder, 'collected.jsonl');
  const args = ['collect', model, '--samples', '2', '--max-tokens', '400', '--temperature', '0.5', '--out', out];
  const said = sod(...args, '--dataset', files.aime24);
  expect(said).toBe(`${out} holds 2 demonstrations, of 4 trajectories\n`);
  expect(readdirSync(folder)).not.toContain('collected.jsonl.partial');
  const [collected, taught] = await Promise.all(
    [out, join(folder, 'lessons.jsonl')].map(source => openDemonstrations({ source })),
  );
  expect(collected.length).toBe(2);
  expect(collected.read(0)).toEqual(taught.read(0));
});

function contents(out: string): Record<string, string> {
  const paths = readdirSync(out, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
  return Object.fromEntries(
    paths.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(out.length), readFileSync(path, 'utf8')];
    }),
  );
}
