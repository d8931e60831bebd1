import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readPlan } from '../../src/compare/plan.ts';
import { demoPlan } from '../../src/demo/demo.ts';
import { loadRecipe } from '../../src/train/recipe.ts';

const recipes = readdirSync('recipes', { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.yaml') && !/(compare|world\/student)\.yaml$/.test(file))
  .map(file => join('recipes', file));

test.each(recipes)('%s is a valid recipe', async file => {
  await expect(loadRecipe(file)).resolves.toHaveProperty('method');
});

test.each([false, true])('the demo has a valid recipe for every stage and method, smoke: %s', async smoke => {
  const plan = demoPlan({ out: 'runs/demo', seed: 3, smoke });
  for (const { recipe } of plan.stages) await expect(recipe()).resolves.toHaveProperty('seed', 3);
  const withoutMethod = async (name: 'opd' | 'sod') => {
    const { method, [name]: _, ...rest } = (await plan.recipe(name, 3)) as Record<string, unknown>;
    expect(method).toBe(name);
    return rest;
  };
  expect(await withoutMethod('opd')).toEqual(await withoutMethod('sod'));
  expect(plan.runDir('sod', 3)).toBe('runs/demo/student-sod');
});

test.each([false, true])('the comparison has a valid recipe for every stage and method, quick: %s', async quick => {
  const plan = readPlan('recipes/world/compare.yaml', 'runs', { quick });
  for (const { recipe } of plan.stages) await recipe();
  for (const { name } of plan.methods) await plan.recipe(name, 0);
});
