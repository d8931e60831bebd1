import { setMaxListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { ToolUnreachable } from '../tools/tool.ts';
import { type Rollout, rollout } from './rollout.ts';
import type { Trajectory } from './trajectory.ts';

export interface RolloutsOptions {
  /** Most trajectories under way at the same time. Default 64. */
  concurrency?: number;
  signal?: AbortSignal;
}

/** So often a rollout is begun whose tools cannot be reached; each try is as long as they are waited for. */
const mostTries = 5;

/**
 * Runs many rollouts side by side; the trajectories come in the order of the requests.
 * @param onTrajectory called after each trajectory, in order of completion
 * @throws the first failure, after stopping all others; the reason of `signal`.
 */
export async function rollouts(
  requests: readonly Omit<Rollout, 'signal'>[],
  options: RolloutsOptions & { onTrajectory?: (trajectory: Trajectory, done: number, total: number) => void } = {},
): Promise<Trajectory[]> {
  const trajectories = new Array<Trajectory>(requests.length);
  let done = 0;
  await eachRollout(requests, options, (trajectory, index) => {
    trajectories[index] = trajectory;
    options.onTrajectory?.(trajectory, ++done, requests.length);
  });
  return trajectories;
}

/**
 * Runs rollouts side by side that are too many to keep: each trajectory goes to `take`, with the place of its request, as
 * soon as it is complete.
 * @throws as `rollouts`.
 */
export async function eachRollout(
  requests: Iterable<Omit<Rollout, 'signal'>>,
  { concurrency = 64, signal }: RolloutsOptions,
  take: (trajectory: Trajectory, index: number) => void,
): Promise<void> {
  const failure = new AbortController();
  const stop = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal;
  setMaxListeners(0, stop); // every trajectory under way listens
  const waiting = requests[Symbol.iterator]();
  let next = 0;
  const lane = async () => {
    // The first prompts are sampled from while the others are made.
    await setImmediate();
    try {
      for (let request = waiting.next(); !request.done; request = waiting.next()) {
        const index = next++;
        take(await repeated({ ...request.value, signal: stop }), index);
      }
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: concurrency }, lane));
  if (ends.some(({ status }) => status === 'rejected')) throw stop.reason;
}

/** A rollout, from its beginning again where a tool could not be reached: by the same seeds it says the same. */
async function repeated(request: Rollout): Promise<Trajectory> {
  for (let tries = 1; ; tries++) {
    try {
      return await rollout(request);
    } catch (error) {
      if (!(error instanceof ToolUnreachable) || tries === mostTries) throw error;
    }
  }
}
