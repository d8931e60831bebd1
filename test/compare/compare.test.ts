import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { type CompareOptions, compare } from '../../src/compare/compare.ts';
import { readPlan } from '../../src/compare/plan.ts';
import { formatMarkdown, rowOf } from '../../src/compare/table.ts';
import { tune } from '../../src/compare/tune.ts';
import { UserError } from '../../src/errors.ts';
import type { Evaluation } from '../../src/eval/evaluate.ts';
import type { Report } from '../../src/report/report.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { filesOf, TestHub } from '../hub/server.ts';
import { smallModels } from '../madeOnce.ts';

const init = { hiddenSize: 32, intermediateSize: 64, layers: 1, heads: 2, kvHeads: 1, headDim: 16 };
const supervised = {
  method: 'sft',
  world: 'careful-shop',
  init,
  training: { demonstrations: 16, privileged: 0.25, epochs: 1, batchSize: 8 },
};
const shared = {
  world: 'careful-shop',
  rollout: { groupSize: 2, maxTurns: 2, maxResponseTokens: 32 },
  training: { iterations: 2, promptsPerIteration: 2, promptsPerUpdate: 1 },
  save: { every: 1 },
};
const comparison = {
  stages: { teacher: { recipe: 'teacher.yaml' }, start: { recipe: 'start.yaml' } },
  student: 'start',
  teacher: 'teacher',
  recipe: 'shared.yaml',
  seeds: [3, 4],
  methods: {
    grpo: { method: 'grpo' },
    'opsd-gt': { method: 'opsd-gt' },
    'opsd-hint': { method: 'opsd-hint' },
    sod: { method: 'sod' },
  },
  ablations: { 'sod-mask': { method: 'sod', sod: { weighting: 'mask' } } },
  eval: { tasks: 2, k: 2, temperature: 1, topP: 0.6, maxTurns: 2, maxResponseTokens: 16 },
  tune: { learningRates: [1e-4, 1e-3], seed: 99, firstTask: 1000, tasks: 2, k: 2 },
  quick: { seeds: [3], recipe: { training: { iterations: 1 } } },
};

/** The folder of a comparison's files; `changes` go over the comparison. */
function comparisonFile(changes: Record<string, unknown> = {}, folder = temporaryFolder()): string {
  const write = (name: string, content: unknown) => writeFileSync(join(folder, name), stringify(content));
  write('teacher.yaml', supervised);
  write('start.yaml', { ...supervised, world: 'calm-shop', init: { ...init, tokenizer: 'careful-shop' }, seed: 1 });
  write('shared.yaml', shared);
  write('compare.yaml', { ...comparison, ...changes });
  return join(folder, 'compare.yaml');
}

const control = (out: string, changes: Partial<CompareOptions> = {}): CompareOptions => ({
  out,
  command: 'sod compare compare.yaml',
  signal: new AbortController().signal,
  onRun: () => {},
  onProgress: () => {},
  onEvaluation: () => {},
  ...changes,
});

/** What the file of a report shows. */
function reportIn(html: string): Report {
  const [, data] = /<script type="application\/json" id="report">(.*?)<\/script>/.exec(html)!;
  return JSON.parse(data);
}

const file = comparisonFile({}, temporaryFolder(afterAll));
const out = temporaryFolder(afterAll);

test('every method is trained for every seed from the same checkpoint, measured, and never twice', async () => {
  const plan = readPlan(file, join(out, 'full'), { quick: false });

  const interruption = new AbortController();
  const runs: string[] = [];
  const stopped = await compare(
    plan,
    control(out, {
      signal: interruption.signal,
      onRun: name => {
        runs.push(name);
        if (name.startsWith('opsd-hint')) interruption.abort();
      },
    }),
  );
  expect(stopped).toBeUndefined();
  expect(runs).toEqual(['teacher', 'start', 'grpo, seed 3', 'opsd-gt, seed 3', 'opsd-hint, seed 3']);
  const finished = statSync(join(plan.runDir('grpo', 3), 'final')).mtimeMs;

  const rows = await compare(plan, control(out));
  expect(rows!.map(({ method, seeds }) => [method, seeds])).toEqual(
    ['teacher', 'vanilla', 'sft', 'grpo', 'opsd-gt', 'opsd-hint', 'sod', 'sod-mask'].map(name => [name, 2]),
  );
  expect(statSync(join(plan.runDir('grpo', 3), 'final')).mtimeMs).toBe(finished);
  const start = join(plan.stages[1].runDir, 'final');
  for (const { name } of plan.methods) {
    for (const seed of plan.seeds) {
      expect(await plan.recipe(name, seed)).toMatchObject({ seed, model: start, training: { iterations: 2 } });
      expect(existsSync(join(plan.runDir(name, seed), 'final', 'model.safetensors'))).toBe(true);
    }
  }
  const table = JSON.parse(readFileSync(join(out, 'table.json'), 'utf8'));
  expect(table.rows[3]).toMatchObject({
    method: 'grpo',
    average: expect.any(Number),
    std: expect.any(Number),
    seeds: 2,
  });
  const report = readFileSync(join(out, 'report.html'), 'utf8');
  const { sections } = reportIn(report);
  expect(sections.map(({ title }) => title)).toEqual(
    expect.arrayContaining(['Training', 'Ablations', 'Steps', 'Tool errors', 'Patterns', 'Trajectories']),
  );
  const [answers] = sections[0].charts!;
  expect(answers.lines.flatMap(({ name, points }) => (points.length > 0 ? name : []))).toEqual([
    'grpo',
    'opsd-gt',
    'opsd-hint',
    'sod',
  ]);

  const measured = new Set<string>();
  const again = control(out, { onEvaluation: name => measured.add(name) });
  await compare(plan, again);
  expect([...measured]).toEqual([]);
  const content = { settings: { ...plan.evaluation, seed: 3 }, evaluation: {} };
  writeFileSync(join(plan.runDir('grpo', 3), 'grpo-eval-3.json'), '{"settings":');
  writeFileSync(join(plan.runDir('sod', 3), 'sod-eval-3.json'), JSON.stringify(content));
  writeFileSync(join(plan.runDir('sod', 3), 'trajectories', '000002.jsonl.gz.tmp'), 'half');
  await compare(plan, again);
  expect([...measured]).toEqual(['grpo, seed 3', 'sod, seed 3']);
  expect(JSON.parse(readFileSync(join(out, 'table.json'), 'utf8'))).toEqual(table);
  expect(readFileSync(join(out, 'report.html'), 'utf8')).toBe(report);
});

test('the student may come from the Hub: it is measured as it is there, too', async () => {
  const hub = await new TestHub().start();
  onTestFinished(() => hub.close());
  onTestFinished(() => void vi.unstubAllEnvs());
  const cache = temporaryFolder();
  for (const [name, value] of Object.entries({ HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cache, HF_HUB_OFFLINE: '' })) {
    vi.stubEnv(name, value);
  }
  const { student } = await smallModels();
  hub.commit('models/org/student', filesOf(student));

  const stages = { start: { recipe: 'start.yaml' } };
  const only = { methods: { grpo: { method: 'grpo' } }, ablations: {}, seeds: [3], tune: undefined };
  const comparison = comparisonFile({ stages, teacher: 'start', ...only });
  const training = { demonstrations: 4, epochs: 1, batchSize: 4 };
  writeFileSync(join(comparison, '../start.yaml'), stringify({ method: 'sft', model: 'hf:org/student', training }));
  writeFileSync(join(comparison, '../shared.yaml'), stringify({ ...shared, world: 'shop' }));
  const out = temporaryFolder();
  const plan = readPlan(comparison, join(out, 'full'), { quick: false });
  const rows = await compare(plan, control(out));
  expect(rows!.map(({ method }) => method)).toEqual(['teacher', 'vanilla', 'sft', 'grpo']);
  const vanilla = join(plan.stages[0].runDir, 'vanilla-eval-3.json');
  expect(JSON.parse(readFileSync(vanilla, 'utf8')).settings).toMatchObject({ tasks: 2, k: 2, seed: 3 });
  const kept = readdirSync(cache, { recursive: true, encoding: 'utf8' }).filter(path => /evaluations/.test(path));
  expect(kept).toEqual([]);
});

test('tuning trains each method at each rate with a seed of its own, and names the best', async () => {
  const plan = readPlan(file, join(out, 'full'), { quick: false, only: ['grpo', 'sod'] });
  const tuned = await tune(plan, control(out));
  expect(tuned!.map(({ method, averages }) => [method, averages.map(({ learningRate }) => learningRate)])).toEqual([
    ['grpo', [1e-4, 1e-3]],
    ['sod', [1e-4, 1e-3]],
  ]);
  for (const { averages, best } of tuned!) {
    const highest = Math.max(...averages.map(({ average }) => average));
    expect(best).toBe(averages.find(({ average }) => average === highest)!.learningRate);
  }
  expect(JSON.parse(readFileSync(join(out, 'tune.json'), 'utf8'))).toEqual(tuned);
  expect(readFileSync(join(plan.root, 'tuning/sod/0.001/recipe.yaml'), 'utf8')).toMatch(
    /seed: 99\n.*learningRate: 0.001/s,
  );
  const untuned = { ...plan, tuning: undefined };
  await expect(tune(untuned, control(out))).rejects.toThrow(/no section tune/);
});

test('quick changes what the file says, seeds and methods can be chosen', async () => {
  const file = comparisonFile();
  const plan = readPlan(file, 'runs', { quick: true });
  expect(plan.seeds).toEqual([3]);
  expect(await plan.recipe('grpo', 3)).toMatchObject({ training: { iterations: 1, promptsPerIteration: 2 } });
  const chosen = readPlan(file, 'runs', { quick: true, seeds: [8, 9], only: ['sod-mask'] });
  expect(chosen.seeds).toEqual([8, 9]);
  expect(chosen.methods).toEqual([{ name: 'sod-mask', ablation: true }]);
});

test.each([
  [{ student: 'nobody' }, {}, /compare\.yaml: student: there is no stage 'nobody'$/],
  [{ metods: {} }, {}, /unknown key 'metods', did you mean 'methods'\?/],
  [
    { stages: { teacher: { recipe: 'teacher.yaml', model: 'start' }, start: { recipe: 'start.yaml' } } },
    {},
    /compare\.yaml: stages\.teacher\.model: there is no earlier stage 'start'$/,
  ],
  [{ seeds: [] }, {}, /seeds/],
  [{ methods: {} }, {}, /methods: names no method$/],
  [{}, { only: ['sid'] }, /has no method 'sid'\. It has grpo, opsd-gt/],
])('one line says what is wrong: %j', (changes, options, expected) => {
  const file = comparisonFile(changes);
  const read = () => readPlan(file, 'runs', { quick: false, ...options });
  expect(read).toThrow(UserError);
  expect(read).toThrow(expected);
});

test('methods that learn from a dataset are refused before anything is trained', async () => {
  const file = comparisonFile();
  writeFileSync(join(file, '../shared.yaml'), stringify({ ...shared, dataset: 'problems.jsonl' }));
  const runs: string[] = [];
  const plan = readPlan(file, temporaryFolder(), { quick: false });
  const refused = compare(plan, control(temporaryFolder(), { onRun: name => runs.push(name) }));
  await expect(refused).rejects.toThrow(
    /^a comparison measures models in the world of its recipe, which names a dataset/,
  );
  expect(runs).toEqual([]);
});

const diagnostics = { reward: 0, accuracy: 0, toolTurns: 2, toolSuccessRate: 0.5, responseTokens: 10 };
const evaluation = (average: number): Evaluation => ({
  k: 32,
  average,
  standardError: 0,
  passAtK: 1,
  majorityAtK: 1,
  diagnostics,
  tasks: [],
});

test('a row is the mean over seeds with their standard deviation', () => {
  const row = rowOf('sod', [evaluation(0.5), evaluation(0.7), evaluation(0.6)]);
  expect(row.average).toBeCloseTo(0.6, 12);
  expect(row.std).toBeCloseTo(0.1, 12);
  expect(rowOf('sod', [evaluation(0.5)]).std).toBeUndefined();
  const plan = readPlan(comparisonFile(), 'runs', { quick: false });
  expect(formatMarkdown([row], plan)).toContain('| **sod** | **60.00 ± 10.00** | 100.00 | 100.00 | 50.00 |');
});
