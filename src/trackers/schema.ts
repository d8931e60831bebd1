import { z } from 'zod';
import { section } from '../schema.ts';
import { serverUrlSchema } from '../serverUrl.ts';

/** Where a run's metrics go beside its folder, as a recipe says it. */

const tensorboard = section({ kind: z.literal('tensorboard') });

/** An MLflow server. Its token is taken from MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD. */
const mlflow = section({
  kind: z.literal('mlflow'),
  /** Default: MLFLOW_TRACKING_URI. */
  url: serverUrlSchema(5000, 'MLFLOW_TRACKING_TOKEN').optional(),
  /** Made where the server has none of that name. */
  experiment: z.string().min(1).default('sod'),
});

const kinds = { tensorboard, mlflow };
const known = `must be one of ${Object.keys(kinds).join(', ')}`;

/** Why there is no tracker of a name that people may look for. */
const advice: Record<string, string> = {
  wandb: 'W&B reads the files of tensorboard: name that, and run `wandb sync` on the folder tensorboard of the run',
  jsonl: 'every run writes metrics.jsonl: leave it out',
};

const trackerSchema = z
  .union([z.string().transform(kind => ({ kind })), z.looseObject({ kind: z.string() })], known)
  .pipe(
    z.discriminatedUnion('kind', [tensorboard, mlflow], {
      error: ({ input }) => advice[(input as { kind: string }).kind] ?? known,
    }),
  );

/** By name, or with options; each kind once. */
export const trackersSchema = z
  .array(trackerSchema)
  .refine(
    trackers => new Set(trackers.map(({ kind }) => kind)).size === trackers.length,
    'names the same kind of tracker twice',
  );

export type TrackerRecipe = z.output<typeof trackerSchema>;
export type MlflowRecipe = z.output<typeof mlflow>;

/** What trackers keep in the folder of a run. */
export const tensorboardFolder = 'tensorboard';
export const mlflowFile = 'mlflow.json';

/** A tracker in a few words, as plans tell it. */
export function formatTracker(tracker: TrackerRecipe): string {
  if (tracker.kind === 'tensorboard') return "TensorBoard's files in the run's folder";
  const { url = 'the address in MLFLOW_TRACKING_URI', experiment } = tracker;
  return `MLflow at ${url}, experiment ${experiment}`;
}
