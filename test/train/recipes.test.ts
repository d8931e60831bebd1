import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readPlan } from '../../src/compare/plan.ts';
import { readPipeline, stages } from '../../src/demo/pipeline.ts';
import { loadRecipe } from '../../src/train/recipe.ts';

const recipes = readdirSync('recipes', { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.yaml') && !/(pipeline|compare|world\/student)\.yaml$/.test(file))
  .map(file => join('recipes', file));

test.each(recipes)('%s is a valid recipe', async file => {
  await expect(loadRecipe(file)).resolves.toHaveProperty('method');
});

test('the demo has a recipe for every stage, and its smoke run fits them', async () => {
  const { smoke } = readPipeline();
  expect(Object.keys(smoke.stages).toSorted()).toEqual(stages.map(({ name }) => name).toSorted());
  for (const { name } of stages) await loadRecipe(`recipes/demo/${name}.yaml`, smoke.stages[name]);
});

test('OPD and SOD differ in the method alone', async () => {
  const { method: _, opd: __, ...opd } = (await loadRecipe('recipes/demo/student-opd.yaml')) as Record<string, unknown>;
  const {
    method: ___,
    sod: ____,
    ...sod
  } = (await loadRecipe('recipes/demo/student-sod.yaml')) as Record<string, unknown>;
  expect(opd).toEqual(sod);
});

test.each([false, true])('the comparison has a valid recipe for every stage and method, quick: %s', async quick => {
  const plan = readPlan('recipes/world/compare.yaml', 'runs', { quick });
  for (const { recipe } of plan.stages) await recipe();
  for (const { name } of plan.methods) await plan.recipe(name, 0);
});
