import type { Trajectory } from '../agent/trajectory.ts';
import type { Datum, LossSpec, Scores } from '../engine/types.ts';
import { type Aggregation, lossWeights } from '../methods/aggregation.ts';
import { aroundErrors, distillationDiagnostics, rolloutDiagnostics } from '../methods/diagnostics.ts';
import type { StepWeighting } from '../methods/method.ts';
import { Clock } from './clock.ts';
import { type Practice, sampleGroups, scoreGroups } from './experience.ts';
import type { Learner, Phase, Studio } from './learner.ts';
import { methodOf } from './method.ts';
import { iterationTasks, practiceTasks } from './practiceTasks.ts';
import type { OnPolicyRecipe } from './recipe.ts';
import { sampleTrajectories } from './sample.ts';
import { summarize, type UpdateMetrics, update } from './update.ts';

/**
 * Reinforcement learning and on-policy distillation. An iteration:
 * the policy answers prompts, outcomes are rewarded, the teacher scores what the policy said,
 * the method turns both into an advantage for every sampled token, and the policy learns from them in mini-batches.
 */
export function onPolicy(recipe: OnPolicyRecipe, studio: Studio & Practice): Learner {
  const { training } = recipe;
  const { trainer, run } = studio;
  const method = methodOf(recipe);
  const { clipLow, clipHigh, dualClip } = recipe.loss;
  const loss: LossSpec = { kind: 'ppo', clipLow, clipHigh, dualClip };
  const updatesPerIteration = training.promptsPerIteration / training.promptsPerUpdate;
  const updates = training.iterations * updatesPerIteration;
  let chosen: number[] | undefined;

  return {
    iterations: training.iterations,
    updatesPerIteration,

    async iterate(iteration) {
      const clock = new Clock<Phase>();

      chosen ??= await practiceTasks(recipe, studio);
      const tasks = iterationTasks(chosen, recipe, studio.world, iteration);
      const groups = await clock.time('rollout', () => sampleGroups(recipe, studio, tasks, iteration));

      const scores =
        method.teacher && (await clock.time('teacher', () => scoreGroups(method.teacher!, tasks, groups, studio)));
      const teacherLogprobs = scores?.map(group => group.map(({ logprobs }) => logprobs));

      const learned = groups.map((group, g) => method.advantages(group, teacherLogprobs?.[g]));

      const updateMetrics: UpdateMetrics[] = [];
      await clock.time('update', async () => {
        for (let first = 0; first < groups.length; first += training.promptsPerUpdate) {
          const last = first + training.promptsPerUpdate;
          const advantages = learned.slice(first, last).flatMap(group => group.advantages);
          const batch = minibatch(groups.slice(first, last).flat(), advantages, recipe.loss.aggregation);
          const index = iteration * updatesPerIteration + updateMetrics.length;
          updateMetrics.push(await update(trainer, batch, loss, recipe.optimizer, index, updates));
          studio.onProgress({ phase: 'update', done: updateMetrics.length, total: updatesPerIteration });
        }
      });

      const { epsilon } = recipe.report;
      const steps = learned.flatMap(group => group.steps ?? []);
      if ((iteration + 1) % recipe.save.trajectoriesEvery === 0) {
        const scored = teacherLogprobs?.flat().map((teacherLogprobs, i) => ({ weighting: steps[i], teacherLogprobs }));
        run.logTrajectories(iteration + 1, sampleTrajectories(groups.flat(), scored, epsilon, studio.chat));
      }
      return {
        ...summarize(updateMetrics),
        ...rolloutDiagnostics(groups.flat()),
        ...(scores && distillationMetrics(groups.flat(), scores.flat(), steps, epsilon)),
        rolloutTokens: groups.flat().reduce((sum, { mask }) => sum + count(mask), 0),
        seconds: clock.seconds,
      };
    },
  };
}

function minibatch(trajectories: Trajectory[], advantages: Float32Array[], aggregation: Aggregation): Datum[] {
  const weights = lossWeights(
    trajectories.map(({ mask }) => mask),
    aggregation,
  );
  return trajectories.map(({ tokens, logprobs }, i) => ({
    tokens,
    weights: weights[i],
    advantages: advantages[i],
    behaviourLogprobs: logprobs,
  }));
}

function distillationMetrics(trajectories: Trajectory[], scores: Scores[], steps: StepWeighting[], epsilon: number) {
  const teacherLogprobs = scores.map(({ logprobs }) => logprobs);
  return {
    ...distillationDiagnostics(trajectories, teacherLogprobs, steps, epsilon),
    teacherEntropy: teacherEntropy(trajectories, scores),
    aroundError: aroundErrors(
      trajectories,
      steps,
      scores.map(({ entropies }) => entropies),
    ),
  };
}

/** Mean over the sampled tokens, in nats; undefined where the engine cannot tell. */
function teacherEntropy(trajectories: Trajectory[], scores: Scores[]): number | undefined {
  let sum = 0;
  let tokens = 0;
  for (const [i, { mask }] of trajectories.entries()) {
    const { entropies } = scores[i];
    if (!entropies) return undefined;
    for (let t = 0; t < mask.length; t++) sum += mask[t] * entropies[t];
    tokens += count(mask);
  }
  return sum / tokens;
}

function count(mask: Uint8Array): number {
  return mask.reduce((sum, sampled) => sum + sampled, 0);
}
