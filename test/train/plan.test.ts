import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { readShape } from '../../src/checkpoint/shape.ts';
import type { Section } from '../../src/train/overrides.ts';
import { planTraining, type TrainingPlan } from '../../src/train/plan.ts';
import { formatPlan } from '../../src/train/planText.ts';
import { loadRecipe, parseRecipe } from '../../src/train/recipe.ts';
import { train } from '../../src/train/train.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const papers = ['qwen3-0.6b', 'qwen3-1.7b', 'qwen3-4b'].flatMap(folder =>
  readdirSync(join('recipes', folder)).map(file => join('recipes', folder, file)),
);

test.each(papers)('%s is planned without its models and data', async file => {
  const plan = await planTraining(await loadRecipe(file));
  const counts = [
    plan.updates,
    plan.sequences,
    plan.flops[0].flops,
    plan.memory[0].bytes,
    plan.acceleratorMemory[0].bytes,
  ];
  for (const count of counts) expect(count).toBeGreaterThan(0);
  expect(plan.downloads.some(({ name }) => name.endsWith('(dataset)'))).toBe(true);
  expect(formatPlan(plan)).toMatch(/^tool +code_interpreter\(code\), a fresh interpreter a call, .*256 characters, /m);
  expect(formatPlan(plan)).toMatch(
    plan.engine ? /updates .*\nengine .*over the wire /s : /updates .*\n.*memory here /s,
  );
  expect(formatPlan(plan)).toMatch(
    plan.method === 'sft'
      ? /\nevaluations +none/
      : /\nevaluations +\d+: .*aime25.*\nguard +warn .*reverse KL above 3 times/,
  );
});

const made = ['demo/student-sod', 'demo/teacher-grpo', 'world/teacher-grpo'].map(name => `recipes/${name}.yaml`);

test.each(made)('%s, whose models other runs make, is planned as far as it is known before', async file => {
  const recipe = await loadRecipe(file, { model: 'runs/later/final' });
  const plan = await planTraining(recipe);
  const lines = formatPlan(plan).split('\n');
  const names = lines.map(line => line.split('  ')[0]);
  expect(names).toEqual(['method', 'tool', 'model', 'updates', 'sequences', 'evaluations', 'guard', 'downloads']);
  expect(lines[2]).toMatch(/^model +no model yet in \S+runs\/later\/final.*: computation and memory are known when/);
  const inTheEnd = await planTraining({
    ...recipe,
    base: 'hf:Qwen/Qwen3-0.6B',
    ...('teacher' in recipe && { teacher: 'hf:Qwen/Qwen3-0.6B' }),
  });
  expect(formatPlan(inTheEnd)).toMatch(/memory here/);
});

test('the plan says who is told of metrics', async () => {
  const track = ['tensorboard', { kind: 'mlflow', url: 'http://127.0.0.1:5000' }];
  const plan = await planTraining(parseRecipe({ method: 'grpo', model: 'none', track }));
  const said = formatPlan(plan).match(/^tracker .*$/gm);
  expect(said).toEqual([
    expect.stringMatching(/^tracker +TensorBoard's files in the run's folder$/),
    expect.stringMatching(/^tracker +MLflow at http:\/\/127\.0\.0\.1:5000, experiment sod$/),
  ]);
});

test('the plan counts what the paper did', async () => {
  const plan = await planTraining(await loadRecipe('recipes/qwen3-0.6b/sod.yaml'));
  expect(plan).toMatchObject({ iterations: 120, updates: 480, sequences: 120 * 64 * 16, maxTokens: 2560 + 20480 });
  expect(plan.downloads.map(({ name }) => name)).toEqual([
    'youngzhong/SOD-GRPO_teacher-4B',
    'Gen-Verse/Open-AgentRL-30K (dataset)',
    'Gen-Verse/Open-AgentRL-Eval (dataset)',
  ]);
  expect(plan.evaluations).toEqual({ count: 13, every: 10, samples: 4, tasks: ['aime24', 'aime25'] });
  expect(plan.acceleratorMemory[0].bytes).toBe(16 * 596_049_920);
  const sft = await planTraining(await loadRecipe('recipes/qwen3-0.6b/sft.yaml'));
  expect(sft.updates).toBe(Math.ceil((3000 * 5) / 128));
  expect(sft.downloads[0]).toEqual({ name: 'Qwen/Qwen3-0.6B', bytes: 2 * 596_049_920 });
});

test('a fresh model is planned by its shape, with nothing to download', async () => {
  const plan = await planTraining(await loadRecipe('recipes/demo/student-sft.yaml'));
  expect(plan).toMatchObject({ method: 'sft', sequences: 14_000, downloads: [] });
});

test('adapters: what they are, the memory that only they need, and one set of weights for both where the teacher is the same model', async () => {
  const input = { method: 'sod', model: 'hf:Qwen/Qwen3-1.7B', rollout: { maxResponseTokens: 512 } };
  const planned = (more: object) => planTraining(parseRecipe({ ...input, teacher: 'hf:Qwen/Qwen3-4B', ...more }));
  const bytes = ({ memory }: TrainingPlan, name: string) => memory.find(({ what }) => what === name)?.bytes ?? 0;
  const [all, adapters] = [await planned({}), await planned({ lora: { rank: 32 } })];
  expect(bytes(adapters, 'optimizer')).toBe(16 * 34_865_152);
  expect(bytes(all, 'optimizer')).toBe(16 * 1_720_574_976);
  expect(bytes(adapters, 'teacher')).toBe(bytes(all, 'teacher'));
  expect(adapters.flops.at(-1)!.flops).toBeCloseTo((2 / 3) * all.flops.at(-1)!.flops, -9);
  expect(formatPlan(adapters)).toMatch(/^adapters +of rank 32, alpha 32, on q_proj, .*down_proj, 34\.87M numbers/m);
  expect(formatPlan(all)).not.toMatch(/^adapters/m);
  expect(bytes(await planned({ lora: {}, teacher: input.model }), 'teacher')).toBe(0);

  const engine = { kind: 'tinker', url: 'http://127.0.0.1:8000' };
  expect((await planned({ lora: { rank: 4 }, engine: { ...engine, dialect: 'skyrl-jax' } })).engine!.rank).toBe(4);
  const own = await planned({ lora: { rank: 4, targets: ['q_proj'] }, engine: { ...engine, dialect: 'sod' } });
  expect(own.engine!.refusals).toEqual([expect.stringMatching(/^adapters only of all of .*\(lora\.targets\)$/)]);
});

test('on a server that trains: what it would not do, what goes over the wire, and what it costs', async () => {
  const input = { method: 'sod', model: 'hf:Qwen/Qwen3-0.6B', teacher: 'http://127.0.0.1:8001' };
  const server = { kind: 'tinker', url: 'http://127.0.0.1:8000' };
  const planned = async (engine: object, more = {}) =>
    planTraining(parseRecipe({ ...input, ...more, engine: { ...server, ...engine } }));
  const own = await planned({});
  expect(own.engine).toMatchObject({ rank: 0, refusals: [], cost: undefined });
  expect(formatPlan(own)).toMatch(
    /all weights are trained there.*kept there +the newest 2 checkpoints.*give engine\.prices/s,
  );
  expect(formatPlan(own)).not.toContain('memory here');

  const plan = await planned({ dialect: 'tinker', prices: { prefill: 0.1, sample: 0.3, train: 0.5 } });
  expect(plan.engine).toMatchObject({ rank: 32, refusals: ['no dual clip (loss.dualClip: off)'] });
  const trained = plan.sequences * plan.maxTokens;
  expect(plan.engine!.cost!.at(-1)).toEqual({ what: 'train', dollars: (trained * 0.5) / 1e6 });
  expect(plan.engine!.wire.at(-1)!.bytes).toBeGreaterThan(24 * trained);

  const save = { alternatives: 3 };
  expect((await planned({}, { save })).engine!.refusals).toEqual([]);
  expect((await planned({}, { save, teacher: 'hf:Qwen/Qwen3-4B' })).engine!.refusals).toEqual([
    "no alternatives of a teacher's tokens (save.alternatives: 0)",
  ]);
});

test('a policy that samples on a server: where, by which weights, what is not computed here and what is not told', async () => {
  const server = { url: 'http://gpu-7:8000', weights: 'shared' };
  const planned = (over: object) => loadRecipe('recipes/qwen3-0.6b/sod.yaml', over as Section).then(planTraining);
  const plan = await planned({ rollout: { server }, base: 'hf:Qwen/Qwen3-0.6B', teacher: 'http://gpu-8:8000' });
  expect(plan.policy).toMatchObject({
    url: server.url,
    weights: resolve('shared'),
    times: 120,
    bytes: 2 * 596_049_920,
  });
  expect(plan.flops.map(({ what }) => what)).toEqual(['training']);
  expect(plan.memory.map(({ what }) => what)).not.toContain('keys and values');
  expect(formatPlan(plan)).toMatch(
    /^rollouts +sampled by http:\/\/gpu-7:8000, which loads 1\.1 GiB of weights from \S+shared, 133\.2 GiB in 120 iterations$/m,
  );
  expect(formatPlan(plan)).toMatch(/^metrics +no entropies of the teacher, unless http:\/\/gpu-8:8000 is sod serve/m);
  expect((await planned({})).missingMetrics).toBeUndefined();
  const elsewhere = parseRecipe({
    method: 'grpo',
    model: 'hf:Qwen/Qwen3-0.6B',
    engine: { kind: 'tinker', url: 'http://gpu-9:8000', dialect: 'skyrl-fsdp' },
  });
  expect((await planTraining(elsewhere)).missingMetrics).toMatch(/no entropies, unless .* is sod serve --tinker/);
});

test('rollouts ahead: that they are, and one more pass over all of them but the first', async () => {
  const planned = (over: Section) => loadRecipe('recipes/qwen3-0.6b/sod.yaml', over).then(planTraining);
  const [before, plan] = [await planned({}), await planned({ rollout: { ahead: 1 } })];
  expect(formatPlan(plan)).toMatch(/^ahead +rollouts begin before the updates of the iteration before theirs/m);
  expect(formatPlan(before)).not.toMatch(/^ahead/m);
  expect(plan.flops.map(({ what }) => what)).toEqual(['rollouts', 'teacher', 'ratios', 'training']);
  expect(plan.flops[2].flops / plan.flops[0].flops).toBeCloseTo(119 / 120, 6);
  const { model, ...server } = { model: 'hf:Qwen/Qwen3-0.6B', kind: 'tinker', url: 'http://127.0.0.1:8000' };
  const prices = { prefill: 1, sample: 0, train: 0 };
  const costs = (ahead: 0 | 1) =>
    planTraining(parseRecipe({ method: 'grpo', model, engine: { ...server, prices }, rollout: { ahead } }));
  const [dollars, more] = [await costs(0), await costs(1)].map(({ engine }) => engine!.cost![0].dollars);
  const { iterations, sequences, maxTokens } = await costs(1);
  expect(more - dollars).toBeCloseTo((sequences * (1 - 1 / iterations) * maxTokens) / 1e6, 6);
});

test('what the Hub’s cache has is planned by its own shape', async () => {
  onTestFinished(() => void vi.unstubAllEnvs());
  const cache = temporaryFolder();
  vi.stubEnv('HF_HUB_CACHE', cache);
  const [folder, commit] = [join(cache, 'models--some--model'), '0123456789'.repeat(4)];
  for (const path of ['refs', 'snapshots']) mkdirSync(join(folder, path), { recursive: true });
  writeFileSync(join(folder, 'refs/main'), commit);
  cpSync('test/vectors/llama-tiny', join(folder, 'snapshots', commit), { recursive: true });
  const { model } = await planTraining(parseRecipe({ method: 'grpo', model: 'hf:some/model' }));
  expect(model).toEqual(readShape('test/vectors/llama-tiny'));
});

test('what is not known is named; without network nothing remote is trained, and no run begins', async () => {
  const recipe = (model: string) => parseRecipe({ method: 'grpo', model });
  const plan = (model: string) => planTraining(recipe(model));
  await expect(plan('hf:some/model')).rejects.toThrow(/shape of hf:some\/model is not known without network/);
  expect((await plan('no/such/folder')).missing).toEqual(['no/such/folder']);
  onTestFinished(() => void vi.unstubAllEnvs());
  vi.stubEnv('HF_HUB_OFFLINE', '1');
  vi.stubEnv('HF_HUB_CACHE', temporaryFolder());
  const runDir = join(temporaryFolder(), 'run');
  await expect(train(recipe('hf:Qwen/Qwen3-0.6B'), { runDir })).rejects.toThrow(/HF_HUB_OFFLINE/);
  expect(existsSync(join(runDir, 'recipe.yaml'))).toBe(false);
});
