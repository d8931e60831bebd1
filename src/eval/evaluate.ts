import { z } from 'zod';
import { defaultPromptTokens } from '../agent/rollout.ts';
import { type RolloutsOptions, rollouts } from '../agent/rollouts.ts';
import { sharingPrompt } from '../agent/sharedPrompt.ts';
import type { Trajectory } from '../agent/trajectory.ts';
import type { Sampler } from '../engine/types.ts';
import { type RolloutDiagnostics, rolloutDiagnostics } from '../methods/diagnostics.ts';
import { Random } from '../random.ts';
import { lastBoxed } from '../rewards/math.ts';
import { section } from '../schema.ts';
import type { Chat } from '../text/chat.ts';
import { refuseLongPrompts } from '../worlds/promptLength.ts';
import { tasksOf } from '../worlds/tasks.ts';
import type { World } from '../worlds/world.ts';
import { majority, mean, passAtK } from './metrics.ts';
import { judgedRollout } from './sampling.ts';

const count = z.number().int().positive();

/** What a recipe says of an evaluation. */
export const evaluationSchema = section({
  /** Held-out tasks. */
  tasks: count,
  /** Samples a task. */
  k: count,
  /** Of sampling; 0 is greedy. */
  temperature: z.number().nonnegative(),
  topP: z.number().positive().max(1),
  maxTurns: count,
  maxResponseTokens: count,
});

export interface EvaluationSettings extends z.output<typeof evaluationSchema> {
  /** Of the held-out tasks; default 0. */
  firstTask?: number;
  /** Default: that of `rollout`. */
  maxPromptTokens?: number;
  /** Whether the model may think before it speaks. Default: it may not. */
  thinking?: boolean;
  seed: number;
}

export interface EvaluationControl extends RolloutsOptions {
  /** Trajectories so far, and in all. */
  onProgress?: (done: number, total: number) => void;
}

/** How a model did on a set of tasks; all fractions are in [0, 1]. */
export interface Evaluation {
  k: number;
  /** average@k: the mean accuracy over all samples. */
  average: number;
  /** Standard error of the average, over tasks. */
  standardError: number;
  /** At least one of k samples is right. */
  passAtK: number;
  /** The most frequent of k answers is right. */
  majorityAtK: number;
  diagnostics: RolloutDiagnostics;
  tasks: { id: string; correct: number; answers: (string | undefined)[] }[];
}

/**
 * Samples k trajectories for each of the first held-out tasks of a world, and judges them.
 * @throws UserError, before the first, if a prompt is longer than its limit; AbortError when the signal fires.
 */
export async function evaluate(
  sampler: Sampler,
  chat: Chat,
  world: World,
  settings: EvaluationSettings,
  { onProgress, ...control }: EvaluationControl = {},
): Promise<Evaluation> {
  const { k, seed, firstTask = 0 } = settings;
  const indices = Array.from({ length: settings.tasks }, (_, index) => firstTask + index);
  const tasks = await tasksOf(world, 'test', indices, control.signal);
  refuseLongPrompts(world, tasks, chat, settings.maxPromptTokens ?? defaultPromptTokens);
  const policy = { chat: sharingPrompt(chat), sampler };
  const requests = tasks.flatMap((task, position) =>
    Array.from({ length: k }, (_, sample) =>
      judgedRollout(policy, world, task, settings, Random.of(seed, 'eval', position, sample).uint32()),
    ),
  );
  const trajectories = await rollouts(requests, {
    ...control,
    onTrajectory: (_, done, total) => onProgress?.(done, total),
  });
  return summarizeSamples(tasks.map((_, t) => trajectories.slice(t * k, (t + 1) * k)));
}

/** Judges samples, the k trajectories of each task together. */
export function summarizeSamples(groups: readonly Trajectory[][]): Evaluation {
  const k = groups[0].length;
  const tasks = groups.map(group => ({
    id: group[0].taskId,
    correct: group.filter(({ correct }) => correct).length,
    answers: group.map(answerOf),
  }));
  const accuracies = tasks.map(({ correct }) => correct / k);
  const average = mean(accuracies);
  const variance = mean(accuracies.map(accuracy => (accuracy - average) ** 2));
  return {
    k,
    average,
    standardError: Math.sqrt(variance / Math.max(1, tasks.length - 1)),
    passAtK: mean(tasks.map(({ correct }) => passAtK(k, correct, k))),
    majorityAtK: mean(groups.map(group => majority(group.map(t => ({ answer: answerOf(t), correct: t.correct }))))),
    diagnostics: rolloutDiagnostics(groups.flat()),
    tasks,
  };
}

/** The boxed answer; undefined where the trajectory ended without one. */
function answerOf({ end, steps }: Trajectory): string | undefined {
  return end === 'answer' ? lastBoxed(steps.at(-1)!.text) : undefined;
}
