import { expect, test } from 'vitest';
import { valuesOf } from '../../src/trackers/values.ts';

test('every number of a line is a metric by its path', () => {
  const line = {
    iteration: 3,
    update: 6,
    loss: 0.5,
    entropy: Number.NaN,
    seconds: { rollout: 1, engines: { policy: { busy: 2, spans: [[0, 1]] } } },
    weightByStep: [{ mean: 1 }, { mean: 0.5 }],
    outOfBand: ['reverseKl'],
    sources: { 'hf:a/b#c': { reward: 1 }, '..': { reward: 2 }, [`${'x'.repeat(100)}y`]: { reward: 3 } },
  };
  expect(Object.fromEntries(valuesOf(line))).toEqual({
    update: 6,
    loss: 0.5,
    'seconds/rollout': 1,
    'seconds/engines/policy/busy': 2,
    'weightByStep/1/mean': 1,
    'weightByStep/2/mean': 0.5,
    'sources/hf_a_b_c/reward': 1,
    'sources/__/reward': 2,
    [`sources/${'x'.repeat(79)}y/reward`]: 3,
  });
});
