import { expect, test } from 'vitest';
import { type OnPolicyRecipe, parseRecipe } from '../../src/train/recipe.ts';
import { refilled } from '../../src/train/refill.ts';
import { rewardOf } from '../../src/train/reward.ts';
import { trajectory } from '../methods/trajectories.ts';

const said = { mask: new Uint8Array(2), logprobs: new Float32Array(2) };

/** Batches of two groups, by the rewards of their trajectories. */
async function refill(size: number, most: number, batches: number[][][]) {
  const sampled: number[] = [];
  const result = await refilled(size, most, async batch => {
    sampled.push(batch);
    const groups = batches[batch].map(rewards =>
      rewards.map(reward => trajectory({ ...said, reward, correct: reward > 0 })),
    );
    return { tasks: groups.map((_, i) => ({ id: `${batch}/${i}`, messages: [], answer: '' })), groups };
  });
  return { ...result, sampled, ids: result.tasks.map(({ id }) => id) };
}

const [equal, mixed] = [
  [1, 1],
  [1, -1],
];

test('groups of equal rewards are replaced by those of further batches', async () => {
  const { ids, groups, batches, equalShare, accuracy } = await refill(2, 10, [
    [equal, mixed],
    [equal, equal],
    [mixed, mixed],
  ]);
  expect(ids).toEqual(['0/1', '2/0']);
  expect(groups.map(group => group.map(({ reward }) => reward))).toEqual([mixed, mixed]);
  expect({ batches, equalShare, accuracy }).toEqual({ batches: 3, equalShare: 0.5, accuracy: 0.75 });
});

test('a batch that needs no other is alone; after the last one, groups of equal rewards make up', async () => {
  expect((await refill(2, 10, [[mixed, mixed]])).sampled).toEqual([0]);
  expect((await refill(2, 0, [[equal, mixed]])).ids).toEqual(['0/1', '0/0']);
  const batches = [
    [equal, equal],
    [equal, mixed],
  ];
  expect((await refill(2, 2, batches)).ids).toEqual(['1/1', '0/0']);
});

test('it is for grpo alone', () => {
  const recipe = (method: string) => parseRecipe({ method, model: 'm', rollout: { refill: 10 } });
  expect(recipe('grpo')).toMatchObject({ rollout: { refill: 10 } });
  expect(() => recipe('opsd-gt')).toThrow(/rollout\.refill is grpo's alone/);
});

test.each([
  ['text', -0.9],
  ['code', -1.1],
  ['off', -1],
  [true, -0.9],
  [false, -1],
])('shaping %s: a wrong answer after one call is worth %d', (shaping, worth) => {
  const recipe = parseRecipe({ method: 'grpo', model: 'm', reward: { shaping, overlongBuffer: 0 } }) as OnPolicyRecipe;
  const steps = [
    { start: 1, end: 2, text: '', observation: '1' },
    { start: 3, end: 4, text: '' },
  ];
  expect(rewardOf(recipe, trajectory({ ...said, steps }), -1)).toBeCloseTo(worth, 12);
  expect(rewardOf(recipe, trajectory({ ...said, steps }), 1)).toBe(1);
});
