import { expect, test } from 'vitest';
import type { Trajectory } from '../../src/agent/trajectory.ts';
import type { Scorer } from '../../src/engine/types.ts';
import { presentGroups, staleMetrics, weightedByRatios } from '../../src/train/staleness.ts';
import { Timeline } from '../../src/train/timeline.ts';

/** Of four tokens, the last three sampled, with probabilities of a half, a tenth and a quarter. */
const sampled = {
  taskId: 'one',
  tokens: [1, 2, 3, 4],
  promptTokens: 1,
  mask: Uint8Array.of(0, 1, 1, 1),
  logprobs: Float32Array.of(0, Math.log(0.5), Math.log(0.1), Math.log(0.25)),
} as Trajectory;
/** A policy for which they are as probable, eight times as probable, and a fifth as probable by now. */
const moved: Scorer = {
  score: async sequences =>
    sequences.map(() => ({ logprobs: Float32Array.of(0, Math.log(0.5), Math.log(0.8), Math.log(0.05)) })),
};

test('what older weights sampled counts as much as it is probable now, at most twice', async () => {
  const stale = await presentGroups([[sampled]], true, moved, new Timeline());
  const [{ group, ratios }] = stale;
  expect(group[0].logprobs).toEqual((await moved.score([sampled]))[0].logprobs);
  const { advantages } = weightedByRatios({ advantages: [Float32Array.of(0, 3, -3, 10)] }, ratios);
  const expected = [0, 3, -6, 2];
  advantages[0].forEach((advantage, t) => {
    expect(advantage).toBeCloseTo(expected[t], 5);
  });
  const fresh = await presentGroups([[sampled]], false, moved, new Timeline());
  expect(fresh).toEqual([{ group: [sampled] }]);
  expect(staleMetrics(stale)).toEqual({ staleTokens: 1, ratiosCut: 1 / 3 });
  expect(staleMetrics([...stale, ...fresh])).toEqual({ staleTokens: 0.5, ratiosCut: 1 / 3 });
  expect(staleMetrics(fresh)).toEqual({ staleTokens: 0, ratiosCut: 0 });
});
