import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { originOf } from '../../src/card/origin.ts';
import { UserError } from '../../src/errors.ts';
import { methodOf } from '../../src/train/method.ts';
import { planTraining } from '../../src/train/plan.ts';
import { loadRecipe, type OnPolicyRecipe } from '../../src/train/recipe.ts';
import { readRecipe } from '../../src/train/runDirectory.ts';
import { train } from '../../src/train/train.ts';
import { openWorld } from '../../src/worlds/open.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { smallModels } from '../madeOnce.ts';

const folder = temporaryFolder(afterAll);
const { student: model, teacher } = await smallModels();
const { world, close } = await openWorld('shop');
afterAll(close);

/** A module of that text, and the recipe of a run of two updates whose method it is. */
async function recipeOf(name: string, text: string, more: Record<string, unknown> = {}): Promise<OnPolicyRecipe> {
  writeFileSync(join(folder, `${name}.mjs`), text);
  return recipe(join(folder, `${name}.mjs`), more);
}

async function recipe(method: string, more: Record<string, unknown> = {}): Promise<OnPolicyRecipe> {
  const file = join(folder, 'recipe.yaml');
  writeFileSync(file, 'seed: 3\n');
  return (await loadRecipe(file, {
    method,
    model,
    rollout: { groupSize: 2, maxResponseTokens: 16, maxTurns: 1 },
    training: { iterations: 2, promptsPerIteration: 2, promptsPerUpdate: 2 },
    optimizer: { learningRate: 1e-3 },
    engine: { dtype: 'f32' },
    ...more,
  })) as OnPolicyRecipe;
}

/** On-policy distillation alone, every step counting the same: naive-opd in a module's own words. */
const gap = `export default {
  name: 'gap',
  teacher: 'model',
  advantages: (group, teacher) => ({
    advantages: group.map(({ mask, logprobs }, i) => Float32Array.from(mask, (said, t) => said * (teacher[i][t] - logprobs[t]))),
    steps: group.map(({ steps }) => ({ divergence: steps.map(() => 0.1), weight: steps.map(() => 1) })),
  }),
};`;

test('a run of a method from a module is the run of the same method from the registry, and its folder says so', async () => {
  const own = await recipeOf('gap', gap, { teacher });
  const known = await recipe('naive-opd', { teacher });
  const run = (name: string) => join(folder, 'runs', name);
  const { metrics } = await train(own, { runDir: run('own'), world });
  await train(known, { runDir: run('known'), world });
  expect(metrics[0]).toMatchObject({ weightByStep: [{ count: 4, mean: 1 }] });
  expect(metrics[0].gradNorm).toBeGreaterThan(0);
  const [ours, theirs] = ['own', 'known'].map(name => readFileSync(join(run(name), 'final', 'model.safetensors')));
  expect(ours.equals(theirs)).toBe(true);

  expect(originOf(join(run('own'), 'final'))).toMatchObject({ kind: 'run', stage: { teachers: [{ kind: 'folder' }] } });
  const again = await train(readRecipe(run('own')), { runDir: run('own'), world, resume: true });
  expect(again.alreadyFinished).toBe(true);
});

test('a module’s method is planned, and says whether the recipe must name a teacher', async () => {
  const plan = await planTraining(await recipeOf('gap', gap, { teacher }));
  expect(plan.flops.map(({ what }) => what)).toEqual(['rollouts', 'teacher', 'training']);

  const alone = methodOf(await recipeOf('gap', gap));
  await expect(alone).rejects.toThrow(/^teacher: must be the teacher's checkpoint folder/);
  const untaught = "export default { name: 'untaught', advantages: () => ({ advantages: [] }) };";
  const needless = methodOf(await recipeOf('untaught', untaught, { teacher }));
  await expect(needless).rejects.toThrow(/^teacher: .* learns from no other model: leave it out$/);
});

test.each([
  ['nothing', 'export const method = 1;', /exports a method, with name and advantages, as default$/],
  [
    'unready',
    'const make = () => ({}); make.options = {}; export default make;',
    /makes methods: export what it gives/,
  ],
  ['teachers', "export default { name: 'x', teacher: 'me', advantages() {} };", /teacher is me; allowed are model, /],
  ['broken', 'export default {', /^no method '.*broken\.mjs': it is neither one of sft, grpo, .* nor a module/],
])('a module that exports no method is refused: %s', async (name, text, message) => {
  const refused = methodOf(await recipeOf(name, text));
  await expect(refused).rejects.toThrow(message);
  await expect(refused).rejects.toBeInstanceOf(UserError);
});

test.each([
  ['short', 'group.map(() => new Float32Array(1))', /a Float32Array for each trajectory, as long as its tokens$/],
  ['endless', 'group.map(({ tokens }) => new Float32Array(tokens.length).fill(1 / 0))', /one is not finite$/],
])('advantages that do not fit are refused before anything is learned: %s', async (name, advantages, message) => {
  const text = `export default { name: 'x', advantages: group => ({ advantages: ${advantages} }) };`;
  const run = train(await recipeOf(name, text), { runDir: join(folder, 'runs', name), world });
  await expect(run).rejects.toThrow(message);
});
