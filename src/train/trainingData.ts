import type { DownloadControl } from '../data/dataset.ts';
import { openDemonstrations } from '../data/tasks.ts';
import { UserError } from '../errors.ts';
import { openDatasetWorld } from '../worlds/dataset.ts';
import { type InterpreterLimits, type OpenWorld, openWorld } from '../worlds/open.ts';
import type { World } from '../worlds/world.ts';
import { type Demonstrations, datasetDemonstrations, worldDemonstrations } from './demonstrations.ts';
import type { OnPolicyRecipe, Recipe, SftRecipe } from './recipe.ts';

/** What a run learns from: dialogues, and the world whose expert leads them where there is one; or a world of problems. */
export type TrainingData = { demonstrations: Demonstrations; expert?: World } | { world: World };

export interface OpenTrainingData {
  data: TrainingData;
  close(): Promise<void>;
}

/**
 * Opens what a recipe says to learn from, a world or a dataset.
 * @param open the recipe's world, where it is open already
 * @throws UserError if what the recipe names is not there, or not fit for the method.
 */
export async function openTrainingData(
  recipe: Recipe,
  control: DownloadControl,
  open?: World,
): Promise<OpenTrainingData> {
  return recipe.method === 'sft' ? openSupervised(recipe, control, open) : openOnPolicy(recipe, control, open);
}

/** What is open already stays open. */
async function worldOf(recipe: Recipe, open?: World, limits?: InterpreterLimits): Promise<OpenWorld> {
  return open ? { world: open, close: async () => {} } : openWorld(recipe.world, limits);
}

async function openSupervised(recipe: SftRecipe, control: DownloadControl, open?: World): Promise<OpenTrainingData> {
  const { dataset, data, training } = recipe;
  if (!dataset) {
    const { world, close } = await worldOf(recipe, open);
    return { data: { demonstrations: worldDemonstrations(recipe, world), expert: world }, close };
  }
  if (training.privileged)
    throw new UserError('training.privileged needs a world: a dataset has no answers and hints to show');
  const rows = await openDemonstrations(dataset, { ...control, ...data });
  return { data: { demonstrations: datasetDemonstrations(rows) }, close: async () => rows.close() };
}

async function openOnPolicy(recipe: OnPolicyRecipe, control: DownloadControl, open?: World): Promise<OpenTrainingData> {
  const { dataset, data, prompts, rollout, reward } = recipe;
  const limits = { timeoutMs: rollout.toolTimeoutMs, maxOutputChars: rollout.toolOutputChars };
  if (!dataset) {
    const { world, close } = await worldOf(recipe, open, limits);
    return { data: { world }, close };
  }
  const { equivalence, testTimeoutMs } = reward;
  const options = { ...data, prompts, equivalence, testTimeoutMs, interpreter: limits };
  const { world, close } = await openDatasetWorld(dataset, options, control);
  return { data: { world }, close };
}
