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
import { abortable } from '../abortable.ts';
import type { Trajectory } from '../agent/trajectory.ts';
import type { Task } from '../data/task.ts';
import type { Datum, Scores } from '../engine/types.ts';
import { lossWeights } from '../methods/aggregation.ts';
import { rolloutDiagnostics } from '../methods/diagnostics.ts';
import type { GroupAdvantages, Method } from '../methods/method.ts';
import { Clock } from './clock.ts';
import { distillationMetrics, iterationMetrics } from './iterationMetrics.ts';
import { keptTrajectories } from './keptTrajectories.ts';
import type { Learner, OnPolicyContext, Phase } from './learner.ts';
import { Pipeline } from './pipeline.ts';
import type { OnPolicyRecipe } from './recipe.ts';
import type { Sampled } from './round.ts';
import { bySource } from './sources.ts';
import { presentGroups, staleMetrics, weightedByRatios } from './staleness.ts';
import { requiredTeacher, teachersOf } from './teachers.ts';
import { Timeline } from './timeline.ts';
import { type UpdateMetrics, update } from './update.ts';

export function onPolicy(recipe: OnPolicyRecipe, method: Method, context: OnPolicyContext): Learner {
  const { training, rollout } = recipe;
  const timeline = new Timeline();
  const pipeline = new Pipeline(recipe, method.teacher, context, timeline);

  return {
    iterations: training.iterations,
    updatesPerIteration: updatesPerIteration(recipe),
    ahead: pipeline,

    async iterate(iteration) {
      const clock = new Clock<Phase>();
      await pipeline.prepare();
      timeline.begin();

      // tasks [P]; groups [P][G]: tokens, mask and s [T], the reward r, and the steps [K] with what the tools answered
      const round = await clock.time('rollout', () => pipeline.sampled(iteration));
      const sampled = await round.sampled;
      const { tasks } = sampled;
      // scores [P][G], where the method has a teacher: q [T], and its entropies [T] where the engine can tell
      // present [P], the groups as the policy is now: where older weights sampled, it has another s [G][T], at ratios [G][T] to theirs
      const presentOnes = () => presentGroups(sampled.groups, round.isStale, context.trainer, timeline);
      const [scores, present] = await clock.time('teacher', () =>
        abortable(Promise.all([round.scored(), presentOnes()]), context.signal),
      );
      const groups = present.map(({ group }) => group);
      // [P]: A [G][T]; d and w [G][K], where the method weighs steps
      const learned = present.map(({ group, ratios }, g) =>
        weightedByRatios(method.advantages(group, scores && logprobsOf(scores[g])), ratios),
      );
      await clock.time('rollout', () => pipeline.beforeUpdates());
      // What people look at is written while the engine works.
      const keep = async () => {
        const kept = keptTrajectories(recipe, iteration, { tasks, groups, scores, learned }, context.chat);
        context.run.logTrajectories(iteration + 1, kept);
      };
      const updating = () => updatePolicy(recipe, groups, learned, iteration, context);
      const [updates] = await clock.time('update', () => Promise.all([timeline.during('trainer', updating), keep()]));

      const steps = learned.flatMap(group => group.steps ?? []);
      const outcome = { trajectories: groups.flat(), scores: scores?.flat(), steps, epsilon: recipe.report.epsilon };
      return {
        ...iterationMetrics(updates, outcome),
        ...sourceMetrics(tasks, groups),
        ...(recipe.teachers && scores && { teachers: teacherMetrics(recipe, { tasks, groups, scores, learned }) }),
        ...(rollout.refill > 0 && { refill: refillMetrics(sampled) }),
        ...(rollout.ahead > 0 && { ahead: staleMetrics(present) }),
        seconds: { ...clock.seconds, engines: timeline.times() },
      };
    },
  };
}

/** What the batches of an iteration were, and how many there have been until its end: where the next one begins. */
function refillMetrics({ batches, equalShare, accuracy, firstBatch }: Sampled) {
  return { batches, equalShare, accuracy, untilNow: firstBatch + batches };
}

/** How the policy did on the tasks of each dataset, where there are several. */
function sourceMetrics(tasks: readonly Task[], groups: readonly Trajectory[][]) {
  const sources = tasks.flatMap(({ source }) => source ?? []);
  if (sources.length === 0) return {};
  return { sources: bySource(sources, places => rolloutDiagnostics(places.flatMap(place => groups[place]))) };
}

/** What each teacher thought of the tasks that are its own: [P] and [P][G]. */
function teacherMetrics(recipe: OnPolicyRecipe, { tasks, groups, scores, learned }: Scored) {
  const teachers = teachersOf(recipe);
  const choice = requiredTeacher(recipe);
  const names = tasks.map(task => teachers[choice(task)].name!);
  return bySource(names, places => {
    const trajectories = places.flatMap(place => groups[place]);
    const steps = places.flatMap(place => learned[place].steps ?? []);
    const own = places.flatMap(place => scores[place]);
    const { epsilon } = recipe.report;
    return { trajectories: trajectories.length, ...distillationMetrics(own, { trajectories, steps, epsilon }) };
  });
}

interface Scored {
  tasks: readonly Task[];
  groups: readonly Trajectory[][];
  scores: readonly Scores[][];
  learned: readonly GroupAdvantages[];
}

function logprobsOf(scores: readonly Scores[]): Float32Array[] {
  return scores.map(({ logprobs }) => logprobs);
}

function updatesPerIteration({ training }: OnPolicyRecipe): number {
  return training.promptsPerIteration / training.promptsPerUpdate;
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
