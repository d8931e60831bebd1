import type { RolloutLimits } from '../agent/rollout.ts';
import { rollouts } from '../agent/rollouts.ts';
import type { Trajectory } from '../agent/trajectory.ts';
import type { Task } from '../data/task.ts';
import type { Datum, LossSpec, Scores } from '../engine/types.ts';
import { aroundErrors, distillationDiagnostics, rolloutDiagnostics } from '../methods/diagnostics.ts';
import type { StepWeighting, Teacher } from '../methods/method.ts';
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
import { scoreTrajectories, teacherPrompt } from './teacher.ts';
import { summarize, type UpdateMetrics, update } from './update.ts';

/**
 * Reinforcement learning and on-policy distillation. An iteration:
 * the policy answers prompts, outcomes are rewarded, the teacher scores what the policy said,
 * the method turns both into an advantage for every sampled token, and the policy learns from them in mini-batches.
 */
export function onPolicy(recipe: OnPolicyRecipe, studio: Studio): Learner {
  const { training } = recipe;
  const { trainer, run } = studio;
  const method = methodOf(recipe);
  const loss: LossSpec = { kind: 'ppo', ...recipe.loss };
  const updatesPerIteration = training.promptsPerIteration / training.promptsPerUpdate;
  const updates = training.iterations * updatesPerIteration;

  return {
    iterations: training.iterations,
    updatesPerIteration,

    async iterate(iteration) {
      const clock = new Clock<Phase>();

      const tasks = iterationTasks(recipe, studio, iteration);
      const groups = await clock.time('rollout', () => sampleGroups(recipe, studio, tasks, iteration));

      const scores =
        method.teacher && (await clock.time('teacher', () => scoreGroups(method.teacher!, tasks, groups, studio)));
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

function iterationTasks({ seed, training }: OnPolicyRecipe, { world }: Studio, iteration: number): Task[] {
  const { promptsPerIteration, tasks, firstTask } = training;
  const indices = taskIndices(seed, iteration * promptsPerIteration, promptsPerIteration, tasks);
  return indices.map(index => world.task('train', firstTask + index));
}

/** A group of trajectories for each task, judged and rewarded. */
async function sampleGroups(
  recipe: OnPolicyRecipe,
  studio: Studio,
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
      judge: (trajectory: Trajectory) => {
        const { score, correct } = judge(world, task, trajectory);
        return { reward: reward(recipe, trajectory, score), correct };
      },
    })),
  );
  const trajectories = await rollouts(requests, {
    concurrency: rollout.concurrency,
    signal,
    onTrajectory: (_, done, total) => onProgress({ phase: 'rollout', done, total }),
  });
  return tasks.map((_, g) => trajectories.slice(g * groupSize, (g + 1) * groupSize));
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
async function scoreGroups(
  kind: Teacher,
  tasks: readonly Task[],
  groups: readonly Trajectory[][],
  { teacher, chat, world, signal, onProgress }: Studio,
): Promise<Scores[][]> {
  const scores: Scores[][] = [];
  for (const [g, group] of groups.entries()) {
    signal.throwIfAborted();
    scores.push(await scoreTrajectories(teacher!, group, teacherPrompt(kind, tasks[g], chat, world)));
    onProgress({ phase: 'teacher', done: scores.length, total: groups.length });
  }
  signal.throwIfAborted();
  return scores;
}

function datum({ tokens, mask, logprobs }: Trajectory, advantages: Float32Array): Datum {
  return { tokens, weights: Float32Array.from(mask), advantages, behaviourLogprobs: logprobs };
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
