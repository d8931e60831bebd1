/**
 * What older weights have sampled (`rollout.ahead`), as the policy sees it that learns from it. μ sampled; π_0 is the policy before
 * the iteration's updates, and π the one that they move. As in decoupled PPO (Hilton et al. 2021, arXiv 2110.00641) the ratio that the
 * loss clips is π / π_0, and what a token counts is multiplied by how likely it still is, cut as in IMPALA (Espeholt et al. 2018,
 * arXiv 1802.01561), since a few tokens would otherwise outweigh all others:
 *
 *     min(π_0(y_t) / μ(y_t), 2)
 */
import type { Trajectory } from '../agent/trajectory.ts';
import type { Scorer } from '../engine/types.ts';
import type { GroupAdvantages } from '../methods/method.ts';
import { refuseNonFinite } from './finite.ts';
import type { Timeline } from './timeline.ts';

export const mostRatio = 2;

/** A group as the policy is now; where older weights sampled it, with the ratios [T] by which the tokens of each trajectory count. */
export interface PresentGroup {
  group: Trajectory[];
  ratios?: Float32Array[];
}

/**
 * The groups with s by the weights of now.
 * @param isStale whether others sampled them
 * @param policy scores by the weights of now
 */
export async function presentGroups(
  groups: readonly Trajectory[][],
  isStale: boolean,
  policy: Scorer,
  timeline: Timeline,
): Promise<PresentGroup[]> {
  if (!isStale) return groups.map(group => ({ group }));
  return timeline.during('trainer', () => Promise.all(groups.map(sampled => presentGroup(policy, sampled))));
}

async function presentGroup(policy: Scorer, sampled: readonly Trajectory[]): Promise<PresentGroup> {
  const scores = await policy.score([...sampled]);
  const group = sampled.map((trajectory, i) => ({ ...trajectory, logprobs: scores[i].logprobs }));
  for (const trajectory of group) refuseNonFinite('the policy', trajectory, trajectory.logprobs);
  return { group, ratios: group.map(({ logprobs }, i) => cutRatios(logprobs, sampled[i].logprobs)) };
}

function cutRatios(now: Float32Array, sampled: Float32Array): Float32Array {
  return now.map((logprob, t) => Math.min(Math.exp(logprob - sampled[t]), mostRatio));
}

/** Advantages that count as much as their tokens do. */
export function weightedByRatios(learned: GroupAdvantages, ratios?: readonly Float32Array[]): GroupAdvantages {
  if (!ratios) return learned;
  return {
    ...learned,
    advantages: learned.advantages.map((all, i) => all.map((advantage, t) => advantage * ratios[i][t])),
  };
}

/** Of all sampled tokens, the share that older weights sampled; of these, the share whose ratio is cut. */
export function staleMetrics(present: readonly PresentGroup[]) {
  let [tokens, stale, cut] = [0, 0, 0];
  for (const { group, ratios } of present) {
    for (const [i, { mask }] of group.entries()) {
      const sampled = mask.reduce((sum, isSampled) => sum + isSampled, 0);
      tokens += sampled;
      if (!ratios) continue;
      stale += sampled;
      cut += ratios[i].reduce((sum, ratio, t) => sum + (mask[t] === 1 && ratio === mostRatio ? 1 : 0), 0);
    }
  }
  return { staleTokens: stale / tokens, ratiosCut: stale > 0 ? cut / stale : 0 };
}
