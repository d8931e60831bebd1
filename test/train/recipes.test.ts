import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readPlan } from '../../src/compare/plan.ts';
import { demoPlan } from '../../src/demo/demo.ts';
import { planTraining } from '../../src/train/plan.ts';
import { formatPlan } from '../../src/train/planText.ts';
import { loadRecipe } from '../../src/train/recipe.ts';

const recipes = readdirSync('recipes', { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.yaml') && !/(compare|world\/student)\.yaml$/.test(file))
  .map(file => join('recipes', file));

test.each(recipes)('%s is a valid recipe, and its plan says tool, evaluations and guards', async file => {
  const recipe = await loadRecipe(file);
  const plan = formatPlan(await planTraining(recipe));
  expect(plan).toMatch(/^tool +\w+\(.*^evaluations +\S/ms);
  expect(/^guard +\S/m.test(plan)).toBe(recipe.method !== 'sft');
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

test("options of the tool are put over the recipe's preset", async () => {
  const { tool } = await loadRecipe('recipes/qwen3-0.6b/sod.yaml', { tool: { packages: ['sympy'] } });
  expect(tool).toMatchObject({ name: 'code_interpreter', outputChars: 256, packages: ['sympy'] });
});
