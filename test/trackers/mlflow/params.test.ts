import { expect, test } from 'vitest';
import { paramsOf } from '../../../src/trackers/mlflow/params.ts';

test('a recipe is parameters by their paths, as long as MLflow takes them', () => {
  const recipe = { method: 'sod', optimizer: { betas: [0.9, 0.999] }, world: 'w'.repeat(600), track: undefined };
  expect(paramsOf(recipe)).toEqual([
    { key: 'method', value: 'sod' },
    { key: 'optimizer.betas', value: '[0.9,0.999]' },
    { key: 'world', value: 'w'.repeat(500) },
  ]);
});
