/** What a student learns from in an iteration: its own answers to tasks, their rewards, and the teacher's view of them. */
import type { RolloutLimits } from '../agent/rollout.ts';
import { rollouts } from '../agent/rollouts.ts';
import type { Trajectory } from '../agent/trajectory.ts';
import type { Task } from '../data/task.ts';
import type { Scores } from '../engine/types.ts';
import { UserError } from '../errors.ts';
import type { Teacher } from '../methods/method.ts';
import { Random } from '../random.ts';
import { overlongPenalty } from '../rewards/overlong.ts';
import { dialogueTurns, shapedScore } from '../rewards/shaping.ts';
import { judge } from '../worlds/judge.ts';
import type { World } from '../worlds/world.ts';
import type { Studio } from './learner.ts';
import type { OnPolicyRecipe } from './recipe.ts';
import { scoreTrajectories, teacherPrompt } from './teacher.ts';

/** Where the answers are given and judged. */
export interface Practice extends Omit<Studio, 'run'> {
  world: World;
}

/** A group of trajectories for each task, judged and rewarded. */
export async function sampleGroups(
  recipe: OnPolicyRecipe,
  studio: Practice,
  tasks: readonly Task[],
  iteration: number,
): Promise<Trajectory[][]> {
  const { seed, rollout } = recipe;
  const { trainer, chat, world, signal, onProgress } = studio;
  const { groupSize } = rollout;
  const sampler = await trainer.sampler();

  const requests = tasks.flatMap((task, position) =>
    Array.from({ length: groupSize }, (_, sample) => ({
      task,
      tools: () => world.tools(task),
      chat,
      sampler,
      sampling: { temperature: rollout.temperature, topP: rollout.topP },
      limits: limits(rollout),
      seed: Random.of(seed, 'rollout', iteration, position, sample).uint32(),
      judge: async (trajectory: Trajectory) => {
        const { score, correct } = await judge(world, task, trajectory);
        return { reward: reward(recipe, trajectory, score), correct };
      },
    })),
  );
  const trajectories = await rollouts(requests, {
    concurrency: rollout.concurrency,
    signal,
    onTrajectory: (_, done, total) => onProgress({ phase: 'rollout', done, total }),
  });
  for (const trajectory of trajectories) refuseNonFinite('the policy', trajectory, trajectory.logprobs);
  return tasks.map((_, g) => trajectories.slice(g * groupSize, (g + 1) * groupSize));
}

/** @throws UserError if what would be learned from is no number: nobody could tell from the update where it came from. */
function refuseNonFinite(who: string, { taskId, mask }: Trajectory, logprobs: Float32Array): void {
  const place = logprobs.findIndex((logprob, t) => mask[t] === 1 && !Number.isFinite(logprob));
  if (place < 0) return;
  throw new UserError(
    `task ${taskId}: the log-probability that ${who} gives token ${place} is ${logprobs[place]}; are its weights damaged?`,
  );
}

function limits(rollout: OnPolicyRecipe['rollout']): RolloutLimits {
  return {
    turns: rollout.maxTurns,
    promptTokens: rollout.maxPromptTokens,
    responseTokens: rollout.maxResponseTokens,
    toolTimeoutMs: rollout.toolTimeoutMs,
    toolOutputChars: rollout.toolOutputChars,
  };
}

/** The outcome as the policy is taught it: the world's score, shaped where it is wrong, less what it is too long. */
function reward({ reward, rollout }: OnPolicyRecipe, trajectory: Trajectory, score: number): number {
  const shaped = reward.shaping ? shapedScore(score, dialogueTurns(trajectory)) : score;
  if (reward.overlongBuffer === 0) return shaped;
  const length = trajectory.tokens.length - trajectory.promptTokens;
  return shaped + overlongPenalty(length, rollout.maxResponseTokens, reward.overlongBuffer);
}

/** The teacher's view of the sampled tokens, some groups at a time so that the person can see and stop it. */
export async function scoreGroups(
  kind: Teacher,
  tasks: readonly Task[],
  groups: readonly Trajectory[][],
  { teacher, chat, world, signal, onProgress }: Practice,
): Promise<Scores[][]> {
  const scores: Scores[][] = [];
  for (const [g, group] of groups.entries()) {
    signal.throwIfAborted();
    const scored = await scoreTrajectories(teacher!, group, teacherPrompt(kind, tasks[g], chat, world));
    for (const [i, { logprobs }] of scored.entries()) refuseNonFinite('the teacher', group[i], logprobs);
    scores.push(scored);
    onProgress({ phase: 'teacher', done: scores.length, total: groups.length });
  }
  signal.throwIfAborted();
  return scores;
}
