import { z } from 'zod';
import type { Rollout } from '../agent/rollout.ts';
import { eachRollout, type RolloutsOptions } from '../agent/rollouts.ts';
import { sharingPrompt } from '../agent/sharedPrompt.ts';
import type { Trajectory } from '../agent/trajectory.ts';
import type { Task } from '../data/task.ts';
import type { Sampler } from '../engine/types.ts';
import { UserError } from '../errors.ts';
import { Random } from '../random.ts';
import type { Chat } from '../text/chat.ts';
import { judge } from '../worlds/judge.ts';
import { refuseLongPrompts } from '../worlds/promptLength.ts';
import type { World } from '../worlds/world.ts';
import type { Journal } from './journal.ts';

/** How one trajectory is sampled. */
export interface TrajectorySettings {
  temperature: number;
  topP: number;
  maxTurns: number;
  /** Default: that of `rollout`. */
  maxPromptTokens?: number;
  maxResponseTokens: number;
  /** Whether the model may think before it speaks. Default: it may not. */
  thinking?: boolean;
}

/** How tasks are sampled. */
export interface SamplingSettings extends TrajectorySettings {
  /** Of each task, in each run. */
  samples: number;
  /** Repetitions of the whole, each with seeds of its own. */
  runs: number;
  maxPromptTokens: number;
  seed: number;
}

const index = z.int().nonnegative();

/** Where a sample stands, all counted from 0. */
export const placeSchema = z.object({ run: index, task: index, sample: index });
export type Place = z.infer<typeof placeSchema>;

/** The model that is sampled. */
export interface Policy {
  chat: Chat;
  sampler: Sampler;
}

/** The first tasks of a split of a world. */
export interface TaskRange {
  world: World;
  split: 'train' | 'test';
  tasks: number;
}

/** Trajectories whose places are in memory together. */
const mostTrajectories = 1e7;

/** @throws UserError where more trajectories are asked for than can be listed. */
export function refuseTooMany(tasks: number, samples: number, runs = 1): void {
  const trajectories = tasks * samples * runs;
  if (trajectories <= mostTrajectories) return;
  throw new UserError(
    `${tasks} tasks × ${samples} samples × ${runs} runs are ${trajectories} trajectories; at most ${mostTrajectories}`,
  );
}

/** The number of a place among all: run by run, task by task. */
export function placeNumber({ run, task, sample }: Place, tasks: number, samples: number): number {
  return (run * tasks + task) * samples + sample;
}

export interface SamplingControl<T> extends RolloutsOptions {
  onRecord?: (record: T) => void;
}

/**
 * Samples what the journal does not have yet. A sample is a function of the seed and its place, so it does not matter in
 * how many pieces this is done.
 * @param recordOf what the journal keeps of a trajectory
 * @throws UserError, before the first, if a prompt is longer than its limit; AbortError when the signal fires; what was
 *   complete by then is in the journal.
 */
export async function sampleMissing<T>(
  policy: Policy,
  { world, split, tasks }: TaskRange,
  settings: SamplingSettings,
  journal: Journal<T>,
  recordOf: (place: Place, trajectory: Trajectory) => T,
  { onRecord, ...control }: SamplingControl<T> = {},
): Promise<void> {
  const places = [...allPlaces(tasks, settings)].filter(
    place => !journal.has(placeNumber(place, tasks, settings.samples)),
  );
  const indices = [...new Set(places.map(({ task }) => task))];
  await world.prepare?.(split, indices, control.signal ?? new AbortController().signal);
  const asked = function* () {
    for (const index of indices) yield world.task(split, index);
  };
  refuseLongPrompts(world, asked(), policy.chat, settings.maxPromptTokens);
  const { sampler } = policy;
  const chat = sharingPrompt(policy.chat);
  const requests = function* () {
    for (const { run, task: index, sample } of places) {
      const seed = Random.of(settings.seed, 'sample', run, index, sample).uint32();
      yield judgedRollout({ chat, sampler }, world, world.task(split, index), settings, seed);
    }
  };
  await eachRollout(requests(), control, (trajectory, i) => {
    const record = recordOf(places[i], trajectory);
    journal.add(record);
    onRecord?.(record);
  });
}

/** One sample of a task, rewarded with its score. */
export function judgedRollout(
  { chat, sampler }: Policy,
  world: World,
  task: Task,
  settings: TrajectorySettings,
  seed: number,
): Rollout {
  return {
    task,
    tools: () => world.tools(task),
    chat,
    sampler,
    sampling: { temperature: settings.temperature, topP: settings.topP },
    limits: {
      turns: settings.maxTurns,
      promptTokens: settings.maxPromptTokens,
      responseTokens: settings.maxResponseTokens,
    },
    seed,
    judge: async (trajectory, tools) => {
      const { score, correct } = await judge(world, task, trajectory, tools);
      return { reward: score, correct };
    },
  };
}

function* allPlaces(tasks: number, { runs, samples }: SamplingSettings): Generator<Place> {
  for (let run = 0; run < runs; run++) {
    for (let task = 0; task < tasks; task++) {
      for (let sample = 0; sample < samples; sample++) yield { run, task, sample };
    }
  }
}
