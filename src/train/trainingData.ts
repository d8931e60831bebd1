import type { DownloadControl } from '../data/dataset.ts';
import { openDemonstrations } from '../data/tasks.ts';
import { UserError } from '../errors.ts';
import { openDatasetWorld } from '../worlds/dataset.ts';
import { type InterpreterLimits, type OpenWorld, openWorld } from '../worlds/open.ts';
import type { World } from '../worlds/world.ts';
import { type Demonstrations, datasetDemonstrations, worldDemonstrations } from './demonstrations.ts';
import type { OnPolicyRecipe, Recipe, SftRecipe } from './recipe.ts';

/** What a run learns from: dialogues, and the world whose expert leads them where there is one; or problems to practise on. */
export type Material = { demonstrations: Demonstrations; expert?: World } | { world: World };

export interface OpenMaterial {
  material: Material;
  close(): Promise<void>;
}

/**
 * Opens what a recipe says to learn from, a world or a dataset.
 * @param open the recipe's world, where it is open already
 * @throws UserError if what the recipe names is not there, or not fit for the method.
 */
export async function openMaterial(recipe: Recipe, control: DownloadControl, open?: World): Promise<OpenMaterial> {
  return recipe.method === 'sft' ? openLessons(recipe, control, open) : openPractice(recipe, control, open);
}

/** What is open already stays open. */
async function worldOf(recipe: Recipe, open?: World, limits?: InterpreterLimits): Promise<OpenWorld> {
  return open ? { world: open, close: async () => {} } : openWorld(recipe.world, limits);
}

async function openLessons(recipe: SftRecipe, control: DownloadControl, open?: World): Promise<OpenMaterial> {
  const { dataset, training } = recipe;
  if (!dataset) {
    const { world, close } = await worldOf(recipe, open);
    return { material: { demonstrations: worldDemonstrations(recipe, world), expert: world }, close };
  }
  if (training.privileged)
    throw new UserError('training.privileged needs a world: a dataset has no answers and hints to show');
  const rows = await openDemonstrations(dataset, control);
  return { material: { demonstrations: datasetDemonstrations(rows) }, close: async () => rows.close() };
}

async function openPractice(recipe: OnPolicyRecipe, control: DownloadControl, open?: World): Promise<OpenMaterial> {
  const { dataset, prompts, rollout, reward } = recipe;
  const limits = { timeoutMs: rollout.toolTimeoutMs, maxOutputChars: rollout.toolOutputChars };
  if (!dataset) {
    const { world, close } = await worldOf(recipe, open, limits);
    return { material: { world }, close };
  }
  const { equivalence, testTimeoutMs } = reward;
  const options = { prompts, equivalence, testTimeoutMs, interpreter: limits };
  const { world, close } = await openDatasetWorld(dataset, options, control);
  return { material: { world }, close };
}
