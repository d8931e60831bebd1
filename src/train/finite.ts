import type { Trajectory } from '../agent/trajectory.ts';
import { UserError } from '../errors.ts';

/** @throws UserError if what would be learned from is no number: nobody could tell from the update where it came from. */
export function refuseNonFinite(who: string, { taskId, mask }: Trajectory, logprobs: Float32Array): void {
  const place = logprobs.findIndex((logprob, t) => mask[t] === 1 && !Number.isFinite(logprob));
  if (place < 0) return;
  throw new UserError(
    `task ${taskId}: the log-probability that ${who} gives token ${place} is ${logprobs[place]}; are its weights damaged?`,
  );
}
