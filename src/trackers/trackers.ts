import type { Recipe } from '../train/recipeSchema.ts';
import type { Metrics } from '../train/runDirectory.ts';
import type { TrackerRecipe } from './schema.ts';
import { Sender, type SenderOptions } from './sender.ts';
import type { Outcome, Store } from './store.ts';

/** Whom a run tells its metrics, line by line. They never stop or slow it. */
export interface Trackers {
  /** A line of `metrics.jsonl`, or what an earlier one has become. */
  tell(line: Metrics): void;
  /** Does the work of a run, and says how it ended. */
  during<T extends { finished: boolean }>(work: () => Promise<T>): Promise<T>;
}

/** @throws UserError where one is not said completely */
export async function openTrackers(recipe: Recipe, options: SenderOptions): Promise<Trackers> {
  const stores = await Promise.all((recipe.track ?? []).map(tracker => openStore(tracker, recipe, options.runDir)));
  const senders = stores.map(store => new Sender(store, options));
  const close = (outcome: Outcome) => Promise.all(senders.map(sender => sender.close(outcome)));
  return {
    tell(line) {
      for (const sender of senders) sender.tell(line);
    },
    async during(work) {
      try {
        const end = await work();
        await close(end.finished ? 'finished' : 'stopped');
        return end;
      } catch (error) {
        await close('failed');
        throw error;
      }
    },
  };
}

/** Of each kind only what a recipe names is loaded. */
async function openStore(tracker: TrackerRecipe, recipe: Recipe, runDir: string): Promise<Store> {
  if (tracker.kind === 'tensorboard') {
    const { TensorBoard } = await import('./tensorboard/tensorboard.ts');
    return new TensorBoard(runDir);
  }
  const { Mlflow } = await import('./mlflow/mlflow.ts');
  return new Mlflow(tracker, recipe, runDir);
}
