import { expect, test } from 'vitest';
import { attack } from '../../bench/inputs/attack.ts';

test('bad input of any kind is refused in a sentence, at once, and leaves nothing', async () => {
  const outcomes = await attack({ seed: 1, first: 0, end: 40, patienceMs: 60_000 });
  expect(outcomes).toHaveLength(40);
  expect(outcomes.filter(({ problem }) => problem)).toEqual([]);
});
