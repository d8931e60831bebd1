import { setMaxListeners } from 'node:events';
import { type Rollout, rollout } from './rollout.ts';
import type { Trajectory } from './trajectory.ts';

export interface RolloutsOptions {
  /** Most trajectories under way at the same time. Default 64. */
  concurrency?: number;
  /** Called after each trajectory, in order of completion. */
  onTrajectory?: (trajectory: Trajectory, done: number, total: number) => void;
  signal?: AbortSignal;
}

/**
 * Runs many rollouts side by side; the trajectories come in the order of the requests.
 * @throws the first failure, after stopping all others; the reason of `signal`.
 */
export async function rollouts(
  requests: readonly Omit<Rollout, 'signal'>[],
  { concurrency = 64, onTrajectory, signal }: RolloutsOptions = {},
): Promise<Trajectory[]> {
  const failure = new AbortController();
  const stop = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal;
  setMaxListeners(0, stop); // every trajectory under way listens
  const trajectories = new Array<Trajectory>(requests.length);
  let next = 0;
  let done = 0;
  const lane = async () => {
    try {
      while (next < requests.length) {
        const index = next++;
        trajectories[index] = await rollout({ ...requests[index], signal: stop });
        onTrajectory?.(trajectories[index], ++done, requests.length);
      }
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  };
  const lanes = Array.from({ length: Math.min(concurrency, requests.length) }, lane);
  const ends = await Promise.allSettled(lanes);
  if (ends.some(({ status }) => status === 'rejected')) throw stop.reason;
  return trajectories;
}
