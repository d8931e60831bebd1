import { join } from 'node:path';
import type { Trainer } from '../engine/types.ts';
import { UserError } from '../errors.ts';
import { SystemRefusal } from '../systemErrors.ts';
import type { Learner } from './learner.ts';
import { type Progress, type RunDirectory, readMetrics } from './runDirectory.ts';

/** Where a run stands. */
export interface Standing {
  iteration: number;
  /** The folder of the checkpoint that it goes on from; none at the start. */
  checkpoint?: string;
}

/**
 * Brings a trainer to where its run stands: to the newest checkpoint that is whole. What was written after it is forgotten.
 * @param onNotice told what is damaged, where a newer checkpoint is
 * @throws UserError if there are checkpoints, but none is whole.
 */
export async function goOn(
  run: RunDirectory,
  trainer: Trainer,
  learner: Learner,
  onNotice: (notice: string) => void,
): Promise<Standing> {
  const checkpoints = run.checkpoints();
  if (checkpoints.length === 0) {
    run.keepMetrics([]);
    await learner.ahead?.goOnFrom(undefined, 0);
    return { iteration: 0 };
  }
  const damages: string[] = [];
  for (const checkpoint of checkpoints) {
    try {
      const { iteration } = await load(checkpoint, run, trainer, learner);
      if (damages.length > 0) onNotice(`going back to iteration ${iteration}, for ${damages[0]}`);
      return { iteration, checkpoint };
    } catch (error) {
      if (!(error instanceof UserError) || error instanceof SystemRefusal) throw error;
      damages.push(error.message);
    }
  }
  throw new UserError(
    `${run.path} has no whole checkpoint to go on from: ${damages[0]}. ` +
      `To begin again, delete ${join(run.path, 'checkpoints')}`,
  );
}

/** @throws UserError if the checkpoint, or what the run has logged until then, is damaged. */
async function load(checkpoint: string, run: RunDirectory, trainer: Trainer, learner: Learner): Promise<Progress> {
  const progress = run.progressOf(checkpoint);
  const { iteration, update } = progress;
  if (iteration > learner.iterations || update !== iteration * learner.updatesPerIteration) {
    throw new UserError(
      `${checkpoint} is damaged: this run cannot have made ${update} updates in ${iteration} iterations`,
    );
  }
  const metrics = readMetrics(run.path, iteration);
  await learner.ahead?.goOnFrom(checkpoint, iteration);
  await trainer.load(checkpoint, { optimizer: true });
  run.keepMetrics(metrics);
  return progress;
}
