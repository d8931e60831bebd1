/**
 * On-policy distillation and reinforcement learning: the algorithm of SOD (arXiv 2605.07725, section 4), and with another
 * method that of what it is compared with. An iteration:
 *
 *     sample       G trajectories for each of P prompts, from the policy as it is
 *     reward       each trajectory by its outcome                                          r
 *     teacher      scores the very tokens that the policy sampled                          q_t beside the policy's s_t
 *     step weights by how far student and teacher are apart in each step                   d_k, w_k
 *     advantages   of all sampled tokens                                                   A_t = A(r) + λ w_k (q_t − s_t)
 *     updates      of the policy, one from each mini-batch of prompts
 *
 * Step weights and advantages are the method's (`src/methods/`). Shapes in the comments: [P][G] trajectories of T tokens and
 * K steps, both of each trajectory's own; what is kept for tokens is aligned with them, 0 where they were not sampled.
 */
import { rollouts } from '../agent/rollouts.ts';
import type { Trajectory } from '../agent/trajectory.ts';
import type { Task } from '../data/task.ts';
import type { Datum, Scores } from '../engine/types.ts';
import { lossWeights } from '../methods/aggregation.ts';
import { rolloutDiagnostics } from '../methods/diagnostics.ts';
import type { GroupAdvantages, Method, Teacher } from '../methods/method.ts';
import { Random } from '../random.ts';
import { judge } from '../worlds/judge.ts';
import { Clock } from './clock.ts';
import { refuseNonFinite } from './finite.ts';
import { iterationMetrics } from './iterationMetrics.ts';
import { keptTrajectories } from './keptTrajectories.ts';
import type { Learner, OnPolicyContext, Phase, SamplingContext } from './learner.ts';
import type { OnPolicyRecipe } from './recipe.ts';
import { type RefilledGroups, refilled } from './refill.ts';
import { rewardOf } from './reward.ts';
import { rolloutLimits } from './rolloutLimits.ts';
import { type RunDirectory, readMetrics } from './runDirectory.ts';
import { bySource } from './sources.ts';
import { scoreTrajectories, teacherPrompt } from './teacher.ts';
import { batchOfTasks, trainingTasks } from './trainingTasks.ts';
import { type UpdateMetrics, update } from './update.ts';

export function onPolicy(recipe: OnPolicyRecipe, method: Method, context: OnPolicyContext): Learner {
  const { training } = recipe;
  const { refill } = recipe.rollout;
  let chosen: number[] | undefined;
  /** Batches that were taken until an iteration, where this process has made the one before. */
  let taken: { iteration: number; batches: number } | undefined;

  return {
    iterations: training.iterations,
    updatesPerIteration: updatesPerIteration(recipe),

    async iterate(iteration) {
      const clock = new Clock<Phase>();
      chosen ??= await trainingTasks(recipe, context);
      const known = taken?.iteration === iteration ? taken.batches : undefined;
      const first = refill > 0 ? (known ?? batchesBefore(iteration, context.run)) : iteration;
      const sample = async (batch: number) => {
        const tasks = batchOfTasks(chosen!, recipe, context.world, first + batch);
        return { tasks, groups: await sampleGroups(recipe, tasks, first + batch, context) };
      };

      // tasks [P]; groups [P][G]: tokens, mask and s [T], the reward r, and the steps [K] with what the tools answered
      const sampled = await clock.time('rollout', () => refilled(training.promptsPerIteration, refill, sample));
      const { tasks, groups } = sampled;
      // [P][G], where the method has a teacher: q [T], and its entropies [T] where the engine can tell
      const scores =
        method.teacher && (await clock.time('teacher', () => scoreGroups(method.teacher!, tasks, groups, context)));
      // [P]: A [G][T]; d and w [G][K], where the method weighs steps
      const learned = groups.map((group, g) => method.advantages(group, scores && logprobsOf(scores[g])));
      const updates = await clock.time('update', () => updatePolicy(recipe, groups, learned, iteration, context));

      taken = { iteration: iteration + 1, batches: first + sampled.batches };

      const steps = learned.flatMap(group => group.steps ?? []);
      const outcome = { trajectories: groups.flat(), scores: scores?.flat(), steps, epsilon: recipe.report.epsilon };
      const kept = keptTrajectories(recipe, iteration, { tasks, groups, scores, learned }, context.chat);
      context.run.logTrajectories(iteration + 1, kept);
      return {
        ...iterationMetrics(updates, outcome),
        ...sourceMetrics(tasks, groups),
        ...(refill > 0 && { refill: refillMetrics(sampled, first) }),
        seconds: clock.seconds,
      };
    },
  };
}

/** What the batches of an iteration were, and how many there have been until its end: where the next one begins. */
function refillMetrics({ batches, equalShare, accuracy }: RefilledGroups, before: number) {
  return { batches, equalShare, accuracy, untilNow: before + batches };
}

/** Batches of prompts that the iterations before have taken, as their metrics tell. */
function batchesBefore(iteration: number, run: RunDirectory): number {
  const last = readMetrics(run.path, iteration).at(-1);
  return last === undefined ? 0 : (last.refill as ReturnType<typeof refillMetrics>).untilNow;
}

/** How the policy did on the tasks of each dataset, where there are several. */
function sourceMetrics(tasks: readonly Task[], groups: readonly Trajectory[][]) {
  const sources = tasks.flatMap(({ source }) => source ?? []);
  if (sources.length === 0) return {};
  return { sources: bySource(sources, places => rolloutDiagnostics(places.flatMap(place => groups[place]))) };
}

function logprobsOf(scores: readonly Scores[]): Float32Array[] {
  return scores.map(({ logprobs }) => logprobs);
}

function updatesPerIteration({ training }: OnPolicyRecipe): number {
  return training.promptsPerIteration / training.promptsPerUpdate;
}

/**
 * Samples a group of trajectories for each task, and rewards each as soon as it ends.
 * @returns [P][G]
 */
export async function sampleGroups(
  recipe: OnPolicyRecipe,
  tasks: readonly Task[],
  batch: number,
  { trainer, chat, world, signal, onProgress }: SamplingContext,
): Promise<Trajectory[][]> {
  const { seed, rollout } = recipe;
  const { groupSize, temperature, topP, concurrency } = rollout;
  const sampler = await trainer.sampler();
  const requests = tasks.flatMap((task, position) =>
    Array.from({ length: groupSize }, (_, sample) => ({
      task,
      tools: () => world.tools(task),
      chat,
      sampler,
      sampling: { temperature, topP },
      limits: rolloutLimits(rollout),
      seed: Random.of(seed, 'rollout', batch, position, sample).uint32(),
      judge: async (trajectory: Trajectory) => {
        const { score, correct } = await judge(world, task, trajectory);
        return { reward: rewardOf(recipe, trajectory, score), correct };
      },
    })),
  );
  const onTrajectory = (_: Trajectory, done: number, total: number) => onProgress({ phase: 'rollout', done, total });
  const trajectories = await rollouts(requests, { concurrency, signal, onTrajectory });
  for (const trajectory of trajectories) refuseNonFinite('the policy', trajectory, trajectory.logprobs);
  return tasks.map((_, g) => trajectories.slice(g * groupSize, (g + 1) * groupSize));
}

/**
 * What the teacher thinks of the sampled tokens, a group at a time so that the person can see and stop it.
 * @returns [P][G]
 */
export async function scoreGroups(
  kind: Teacher,
  tasks: readonly Task[],
  groups: readonly Trajectory[][],
  { teacher, chat, world, signal, onProgress }: SamplingContext,
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

/** The updates of an iteration, from mini-batches of its prompts in their order. */
async function updatePolicy(
  recipe: OnPolicyRecipe,
  groups: readonly Trajectory[][],
  learned: readonly GroupAdvantages[],
  iteration: number,
  { trainer, onProgress }: OnPolicyContext,
): Promise<UpdateMetrics[]> {
  const { training, loss, optimizer } = recipe;
  const { aggregation, ...clips } = loss;
  const total = updatesPerIteration(recipe);
  const updates: UpdateMetrics[] = [];
  for (let first = 0; first < groups.length; first += training.promptsPerUpdate) {
    const last = first + training.promptsPerUpdate;
    const trajectories = groups.slice(first, last).flat();
    const advantages = learned.slice(first, last).flatMap(group => group.advantages);
    const weights = lossWeights(
      trajectories.map(({ mask }) => mask),
      aggregation,
    );
    const data: Datum[] = trajectories.map(({ tokens, logprobs }, i) => ({
      tokens,
      weights: weights[i],
      advantages: advantages[i],
      behaviourLogprobs: logprobs,
    }));
    const index = iteration * total + updates.length;
    updates.push(await update(trainer, data, { kind: 'ppo', ...clips }, optimizer, index, training.iterations * total));
    onProgress({ phase: 'update', done: updates.length, total });
  }
  return updates;
}
