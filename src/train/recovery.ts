import { ModelLost } from '../engine/modelLost.ts';
import type { Trainer } from '../engine/types.ts';
import { type RunDirectory, readMetrics } from './runDirectory.ts';

/** How often a run may lose its model without having come further in between. */
const mostLosses = 3;

/**
 * Lets a run go on by itself where an engine elsewhere has lost the model, as a server has that was restarted.
 * @param base the checkpoint that the run began with
 * @param goOn from the run's newest checkpoint to its end
 * @throws ModelLost if that happens again and again
 */
export async function recovering<T>(
  run: RunDirectory,
  trainer: Trainer,
  base: string,
  goOn: () => Promise<T>,
  onNotice: (notice: string) => void,
): Promise<T> {
  let furthest = 0;
  for (let losses = 0; ; ) {
    try {
      if (losses > 0 && run.checkpoints().length === 0) await trainer.load(base);
      return await goOn();
    } catch (error) {
      if (!(error instanceof ModelLost)) throw error;
      const reached = readMetrics(run.path).at(-1)?.iteration ?? 0;
      if (reached > furthest) losses = 0;
      if (++losses > mostLosses) throw error;
      furthest = Math.max(furthest, reached);
      onNotice(`${error.reason}; the run goes on from its last checkpoint`);
    }
  }
}
