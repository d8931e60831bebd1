import type { RolloutLimits } from '../agent/rollout.ts';
import { rollouts } from '../agent/rollouts.ts';
import type { Trajectory } from '../agent/trajectory.ts';
import type { Datum, LossSpec, Scores } from '../engine/types.ts';
import { distillationDiagnostics, rolloutDiagnostics } from '../methods/diagnostics.ts';
import type { StepWeighting } from '../methods/method.ts';
import { Random } from '../random.ts';
import { overlongPenalty } from '../rewards/overlong.ts';
import { dialogueTurns, shapedScore } from '../rewards/shaping.ts';
import { judge } from '../worlds/judge.ts';
import { Clock } from './clock.ts';
import type { Learner, Phase, Studio } from './learner.ts';
import { methodOf } from './method.ts';
import { taskIndices } from './order.ts';
import type { OnPolicyRecipe } from './recipe.ts';
import { sampleTrajectories } from './sample.ts';
import { summarize, type UpdateMetrics, update } from './update.ts';

/**
 * Reinforcement learning and on-policy distillation. An iteration:
 * the policy answers prompts, outcomes are rewarded, the teacher scores what the policy said,
 * the method turns both into an advantage for every sampled token, and the policy learns from them in mini-batches.
 */
export function onPolicy(recipe: OnPolicyRecipe, studio: Studio): Learner {
  const { training } = recipe;
  const { trainer, teacher, run } = studio;
  const method = methodOf(recipe);
  const loss: LossSpec = { kind: 'ppo', ...recipe.loss };
  const updatesPerIteration = training.promptsPerIteration / training.promptsPerUpdate;
  const updates = training.iterations * updatesPerIteration;

  return {
    iterations: training.iterations,
    updatesPerIteration,

    async iterate(iteration) {
      const clock = new Clock<Phase>();

      const groups = await clock.time('rollout', () => sampleGroups(recipe, studio, iteration));

      const scores = teacher && (await clock.time('teacher', () => scoreGroups(groups, studio)));
      const teacherLogprobs = scores?.map(group => group.map(({ logprobs }) => logprobs));

      const learned = groups.map((group, g) => method.advantages(group, teacherLogprobs?.[g]));
      const data = groups.map((group, g) => group.map((trajectory, i) => datum(trajectory, learned[g].advantages[i])));

      const updateMetrics: UpdateMetrics[] = [];
      await clock.time('update', async () => {
        for (let first = 0; first < groups.length; first += training.promptsPerUpdate) {
          const batch = data.slice(first, first + training.promptsPerUpdate).flat();
          const index = iteration * updatesPerIteration + updateMetrics.length;
          updateMetrics.push(await update(trainer, batch, loss, recipe.optimizer, index, updates));
          studio.onProgress({ phase: 'update', done: updateMetrics.length, total: updatesPerIteration });
        }
      });

      const steps = scores && learned.flatMap(group => group.steps ?? []);
      if ((iteration + 1) % recipe.save.trajectoriesEvery === 0) {
        run.logTrajectories(iteration + 1, sampleTrajectories(groups.flat(), steps, studio.chat));
      }
      return {
        ...summarize(updateMetrics),
        ...rolloutDiagnostics(groups.flat()),
        ...distillationMetrics(groups.flat(), scores?.flat(), steps),
        rolloutTokens: groups.flat().reduce((sum, { mask }) => sum + count(mask), 0),
        seconds: clock.seconds,
      };
    },
  };
}

/** A group of trajectories for each of the iteration's tasks, judged and rewarded. */
async function sampleGroups(recipe: OnPolicyRecipe, studio: Studio, iteration: number): Promise<Trajectory[][]> {
  const { seed, rollout, training } = recipe;
  const { trainer, chat, world, signal, onProgress } = studio;
  const { promptsPerIteration, tasks: trainingSet, firstTask } = training;
  const { groupSize } = rollout;
  const sampler = await trainer.sampler();
  const indices = taskIndices(seed, iteration * promptsPerIteration, promptsPerIteration, trainingSet);

  const requests = indices.flatMap((index, position) => {
    const task = world.task('train', firstTask + index);
    return Array.from({ length: groupSize }, (_, sample) => ({
      task,
      tools: () => world.tools(task),
      chat,
      sampler,
      sampling: { temperature: rollout.temperature, topP: rollout.topP },
      limits: limits(rollout),
      seed: Random.of(seed, 'rollout', iteration, position, sample).uint32(),
      judge: (trajectory: Trajectory) => {
        const { score, correct } = judge(world, task, trajectory);
        return { reward: reward(recipe, trajectory, score), correct };
      },
    }));
  });
  const trajectories = await rollouts(requests, {
    concurrency: rollout.concurrency,
    signal,
    onTrajectory: (_, done, total) => onProgress({ phase: 'rollout', done, total }),
  });
  return indices.map((_, g) => trajectories.slice(g * groupSize, (g + 1) * groupSize));
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
async function scoreGroups(groups: Trajectory[][], { teacher, signal, onProgress }: Studio): Promise<Scores[][]> {
  const scores: Scores[][] = [];
  for (const group of groups) {
    signal.throwIfAborted();
    scores.push(await teacher!.score(group));
    onProgress({ phase: 'teacher', done: scores.length, total: groups.length });
  }
  signal.throwIfAborted();
  return scores;
}

function datum({ tokens, mask, logprobs }: Trajectory, advantages: Float32Array): Datum {
  return { tokens, weights: Float32Array.from(mask), advantages, behaviourLogprobs: logprobs };
}

function distillationMetrics(trajectories: Trajectory[], scores?: Scores[], steps?: StepWeighting[]) {
  if (!scores || !steps) return {};
  const teacherLogprobs = scores.map(({ logprobs }) => logprobs);
  return {
    ...distillationDiagnostics(trajectories, teacherLogprobs, steps),
    teacherEntropy: teacherEntropy(trajectories, scores),
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
