import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { teacherChart } from '../../src/report/charts.ts';
import { serve } from '../../src/serve/server.ts';
import { planTraining } from '../../src/train/plan.ts';
import { formatPlan } from '../../src/train/planText.ts';
import { loadRecipe, parseRecipe } from '../../src/train/recipe.ts';
import { type Metrics, readMetrics } from '../../src/train/runDirectory.ts';
import { requiredTeacher } from '../../src/train/teachers.ts';
import { type TrainOptions, train } from '../../src/train/train.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { smallModels } from '../madeOnce.ts';

const folder = temporaryFolder(afterAll);
const { student, teacher } = await smallModels();
const engine = await LocalEngine.start({ dtype: 'f32', threads: 1 });
afterAll(() => engine.close());

const problems = (name: string, count: number) => {
  const file = join(folder, name);
  const line = (i: number) => JSON.stringify({ prompt: `${name}: how much is ${i} + ${i}?`, answer: String(2 * i) });
  writeFileSync(file, Array.from({ length: count }, (_, i) => `${line(i)}\n`).join(''));
  return { source: file };
};
const datasets = [problems('sums.jsonl', 4), problems('others.jsonl', 4)];

const input = {
  method: 'opd',
  model: student,
  datasets,
  rollout: { groupSize: 2, maxResponseTokens: 12, maxTurns: 2 },
  training: { iterations: 3, promptsPerIteration: 4, promptsPerUpdate: 4 },
  optimizer: { learningRate: 1e-3 },
  save: { every: 1 },
};

const sums = { match: { source: 'sums.jsonl' }, checkpoint: teacher };
const others = { match: { source: 'others.jsonl' }, checkpoint: student };

/** What a run with these teachers comes to. */
async function run(name: string, taught: object, options: Partial<TrainOptions> = {}) {
  const runDir = join(folder, name);
  const result = await train(parseRecipe({ ...input, ...taught }), { runDir, engine, ...options });
  return {
    ...result,
    metrics: readMetrics(runDir).map(({ seconds: _, ...line }) => line),
    weights: readFileSync(join(result.checkpoint, 'model.safetensors')).toString('base64'),
  };
}

const both = await run('both', { teachers: [sums, others] });

test('each teaches what is its own, and is told of by itself', async () => {
  const [first] = both.metrics;
  const teachers = first.teachers as Record<
    string,
    { trajectories: number; reverseKl: number; teacherEntropy: number }
  >;
  expect(Object.keys(teachers)).toEqual(['others.jsonl', 'sums.jsonl']);
  expect(teachers['sums.jsonl'].trajectories + teachers['others.jsonl'].trajectories).toBe(8);
  // The policy, before its first update, is its own teacher.
  expect(Math.abs(teachers['others.jsonl'].reverseKl)).toBeLessThan(1e-5);
  expect(teachers['sums.jsonl'].reverseKl).toBeGreaterThan(0.01);
  expect(teachers['sums.jsonl'].teacherEntropy).not.toBe(teachers['others.jsonl'].teacherEntropy);

  const { lines } = teacherChart({ name: 'both', color: 'sod', seeds: [both.metrics as Metrics[]] });
  const drawn = lines.map(({ name, points }) => ({ name, y: points[0].y }));
  expect(drawn).toEqual(Object.entries(teachers).map(([name, { reverseKl }]) => ({ name, y: reverseKl })));

  const alone = await run('alone', { teacher });
  expect(both.weights === alone.weights).toBe(false);
  const all = { match: { task: '*' }, checkpoint: teacher };
  const twice = await run('twice', { teachers: [{ ...sums, match: { task: 'sums*' } }, all] });
  expect(twice.weights === alone.weights).toBe(true);
  expect(Object.keys(twice.metrics[0].teachers as object)).toEqual(['*', 'sums*']);
  expect(alone.metrics[0]).not.toHaveProperty('teachers');
});

test('a run that is stopped goes on to the same weights, also where a server has one of them', async () => {
  const server = await serve({ checkpoint: teacher, port: 0, maxContext: 4096, engine: { dtype: 'f32', threads: 1 } });
  try {
    const { checkpoint: _, ...match } = sums;
    const taught = { teachers: [{ ...match, url: server.url }, others] };
    const stop = new AbortController();
    const onProgress: TrainOptions['onProgress'] = event => {
      if (event.kind === 'phase' && event.phase === 'update') stop.abort();
    };
    const stopped = await run('stopped', taught, { signal: stop.signal, onProgress });
    expect(stopped.finished).toBe(false);
    const resumed = await run('stopped', taught, { resume: true });
    expect(resumed.weights === both.weights).toBe(true);
    expect(resumed.metrics).toEqual(both.metrics);
  } finally {
    await server.close(0);
  }
});

describe('the plan', () => {
  test('names all, and counts each model once', async () => {
    const planned = (teachers: object[]) => planTraining(parseRecipe({ ...input, teachers }));
    const weights = async (teachers: object[]) =>
      (await planned(teachers)).memory.flatMap(({ what, bytes }) => (what === 'teacher' ? bytes : []));
    const [one] = await weights([{ ...sums, match: { task: '*' } }]);
    expect(one).toBeGreaterThan(0);
    expect(await weights([sums, others])).toEqual([one, one]);
    expect(await weights([sums, { ...others, checkpoint: teacher }])).toEqual([one]);
    const elsewhere = { match: { source: 'others.jsonl' }, url: 'http://gpu-7:8000' };
    expect(await weights([sums, elsewhere])).toEqual([one]);
    const absent = 'no/such/folder';
    const { missing } = await planned([sums, others].map(entry => ({ ...entry, checkpoint: absent })));
    expect(missing).toEqual([absent]);
    expect(formatPlan(await planned([sums, elsewhere]))).toMatch(
      /^model +0\.\d+M parameters, teacher of sums\.jsonl 0\.\d+M, teacher of others\.jsonl at http:\/\/gpu-7:8000$/m,
    );
  });

  test('refuses data of which a task has no teacher', async () => {
    const teachers = [sums, { ...others, match: { task: 'others*1' } }];
    await expect(planTraining(parseRecipe({ ...input, teachers }))).rejects.toThrow(
      /^teachers: none is for task \S+ of others\.jsonl: add one that is, or one for all others with match: \{ task: '\*' \}/,
    );
  });
});

test('a world is refused before anything is sampled, if one of its tasks has no teacher', async () => {
  const { datasets: _, ...world } = input;
  const recipe = parseRecipe({ ...world, teachers: [{ match: { task: 'shop/0/train/1*' }, checkpoint: teacher }] });
  await expect(train(recipe, { runDir: join(folder, 'untaught'), engine })).rejects.toThrow(
    /^teachers: none is for task shop\/0\/train\/\d+: add one/,
  );
});

test('the first that matches teaches; a pattern is a text but for its *', () => {
  const teachers = ['a.b/*', '*/9', '*'].map(task => ({ match: { task }, checkpoint: task }));
  const choice = requiredTeacher(parseRecipe({ ...input, teachers }));
  expect(['a.b/1', 'a.b/9', 'axb/9', 'a.b', '9'].map(id => choice({ id }))).toEqual([0, 0, 1, 2, 2]);
});

test('paths are those of the folder that the command runs in; a source may be given as the recipe gives it', async () => {
  const file = join(folder, 'recipe.yaml');
  writeFileSync(
    file,
    JSON.stringify({
      ...input,
      datasets: [{ source: 'data/math.jsonl' }],
      teachers: [{ match: { source: 'data/math.jsonl' }, checkpoint: 'models/a' }],
    }),
  );
  const recipe = await loadRecipe(file);
  expect(recipe).toMatchObject({
    teachers: [{ match: { source: 'math.jsonl' }, checkpoint: join(process.cwd(), 'models/a') }],
  });
  expect(parseRecipe(recipe)).toEqual(recipe);
});

describe('refused is', () => {
  const url = 'http://gpu-7:8000';
  test.each([
    ['both keys', { teacher, teachers: [sums, others] }, /^r: give either teacher or teachers$/],
    ['neither', {}, /^r: teacher: must be the teacher's checkpoint folder, or the address of a server$/],
    ['a method without', { method: 'grpo', teachers: [sums] }, /^r: unknown key 'teachers'/],
    ['its own teacher', { method: 'opsd-gt', teachers: [sums] }, /^r: unknown key 'teachers'/],
    ['no place', { teachers: [{ match: { task: '*' } }] }, /^r: teachers\.0: give either checkpoint or url$/],
    ['two places', { teachers: [{ ...sums, url }] }, /^r: teachers\.0: give either checkpoint or url$/],
    [
      'an address as folder',
      { teachers: [{ ...sums, checkpoint: url }] },
      /teachers\.0\.checkpoint: is an address: give it as url/,
    ],
    ['no match', { teachers: [{ match: {}, url }] }, /^r: teachers\.0\.match: give either source or task$/],
    ['twice the same', { teachers: [sums, sums] }, /^r: teachers\.1\.match: two teachers are for sums\.jsonl$/],
    [
      'an unknown source',
      { teachers: [{ ...sums, match: { source: 'sum.jsonl' } }] },
      /^r: teachers\.0\.match\.source: no dataset of the recipe is 'sum\.jsonl', did you mean 'sums\.jsonl'\? They are sums\.jsonl, others\.jsonl$/,
    ],
    [
      'a source of a world',
      { datasets: undefined, teachers: [sums] },
      /^r: teachers\.0\.match\.source: a world has no datasets/,
    ],
    [
      'a dataset without',
      { teachers: [sums] },
      /^r: teachers: none is for the tasks of others\.jsonl: add one that is/,
    ],
    [
      'a secret',
      { teachers: [sums, { match: { task: '*' }, url: 'http://me:key@gpu-7' }] },
      /must hold no key, password or query/,
    ],
  ])('%s', (_, taught, message) => {
    expect(() => parseRecipe({ ...input, ...taught }, 'r')).toThrow(message);
  });
});
