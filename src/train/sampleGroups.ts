import { eachRollout } from '../agent/rollouts.ts';
import { sharingPrompt } from '../agent/sharedPrompt.ts';
import type { Trajectory } from '../agent/trajectory.ts';
import type { Task } from '../data/task.ts';
import type { Sampler } from '../engine/types.ts';
import { Random } from '../random.ts';
import type { Tool } from '../tools/tool.ts';
import { judge } from '../worlds/judge.ts';
import { refuseNonFinite } from './finite.ts';
import type { SamplingContext } from './learner.ts';
import type { OnPolicyRecipe } from './recipe.ts';
import { rewardOf } from './reward.ts';
import { rolloutLimits } from './rolloutLimits.ts';

/** Told while groups are sampled. */
export interface SamplingListener {
  onTrajectory?: (done: number, total: number) => void;
  /** Told each group as soon as it is complete. */
  onGroup?: (task: Task, group: Trajectory[]) => void;
}

/**
 * Samples a group of trajectories for each task, and rewards each as soon as it ends.
 * @returns [P][G]
 * @throws the reason of `signal`; UserError where the policy's log-probabilities are no numbers
 */
export async function sampleGroups(
  recipe: OnPolicyRecipe,
  tasks: readonly Task[],
  batch: number,
  { sampler, world, signal, ...policy }: Pick<SamplingContext, 'chat' | 'world' | 'signal'> & { sampler: Sampler },
  { onTrajectory, onGroup }: SamplingListener = {},
): Promise<Trajectory[][]> {
  const { seed, rollout } = recipe;
  const { groupSize, temperature, topP, concurrency } = rollout;
  const chat = sharingPrompt(policy.chat);
  const requests = tasks.flatMap((task, position) =>
    Array.from({ length: groupSize }, (_, sample) => ({
      task,
      tools: () => world.tools(task),
      chat,
      sampler,
      sampling: { temperature, topP },
      limits: rolloutLimits(rollout),
      seed: Random.of(seed, 'rollout', batch, position, sample).uint32(),
      judge: async (trajectory: Trajectory, tools: readonly Tool[]) => {
        const { score, correct } = await judge(world, task, trajectory, tools);
        return { reward: rewardOf(recipe, trajectory, score), correct };
      },
    })),
  );
  const groups = tasks.map((): Trajectory[] => new Array(groupSize));
  const missing = tasks.map(() => groupSize);
  let done = 0;
  await eachRollout(requests, { concurrency, signal }, (trajectory, index) => {
    refuseNonFinite('the policy', trajectory, trajectory.logprobs);
    const g = Math.floor(index / groupSize);
    groups[g][index % groupSize] = trajectory;
    onTrajectory?.(++done, requests.length);
    if (--missing[g] === 0) onGroup?.(tasks[g], groups[g]);
  });
  return groups;
}
