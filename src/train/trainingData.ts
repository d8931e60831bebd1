import type { DownloadControl } from '../data/dataset.ts';
import { Mixture } from '../data/mixture.ts';
import { openDemonstrations } from '../data/tasks.ts';
import { UserError } from '../errors.ts';
import type { ServerTools } from '../tools/mcp/open.ts';
import { openDatasetWorld } from '../worlds/dataset.ts';
import type { ToolOptions } from '../worlds/kit.ts';
import { type OpenWorld, openWorld } from '../worlds/open.ts';
import type { World } from '../worlds/world.ts';
import { type Demonstrations, datasetDemonstrations, worldDemonstrations } from './demonstrations.ts';
import { type OpenEvaluation, openEvaluation } from './evaluation.ts';
import { methodOf } from './method.ts';
import { datasetsOf, type OnPolicyRecipe, type Recipe, type SftRecipe } from './recipe.ts';
import { requiredTeacher } from './teachers.ts';

/** What a run learns from: dialogues, and the world whose expert leads them where there is one; or a world of problems. */
export type TrainingData = { demonstrations: Demonstrations; expert?: World } | { world: World };

export interface OpenTrainingData {
  data: TrainingData;
  /** What the MCP servers of its world offer. */
  serverTools: ServerTools[];
  /** Where the recipe asks for one. */
  evaluation?: OpenEvaluation;
  close(): Promise<void>;
}

/**
 * Opens what a recipe says to learn from, a world or a dataset, and what it says to be measured on.
 * @param open the recipe's world, where it is open already
 * @throws UserError if what the recipe names is not there, or not fit for the method.
 */
export async function openTrainingData(
  recipe: Recipe,
  control: DownloadControl,
  open?: World,
): Promise<OpenTrainingData> {
  const learned = await (recipe.method === 'sft'
    ? openSupervised(recipe, control, open)
    : openOnPolicy(recipe, control, open));
  try {
    const evaluation = await openEvaluation(recipe, worldIn(learned.data), control);
    return {
      ...learned,
      evaluation,
      close: async () => void (await Promise.all([evaluation?.close(), learned.close()])),
    };
  } catch (error) {
    await learned.close();
    throw error;
  }
}

/** Where what is learned from is a world's, or of problems. */
export function worldIn(data: TrainingData): World | undefined {
  return 'world' in data ? data.world : data.expert;
}

/** What is open already stays open. */
async function worldOf({ world }: Recipe, open: World | undefined, offered: ToolOptions): Promise<OpenWorld> {
  return open ? { world: open, serverTools: [], close: async () => {} } : openWorld(world, offered);
}

async function openSupervised(recipe: SftRecipe, control: DownloadControl, open?: World): Promise<OpenTrainingData> {
  const { data, training, tool, mcp } = recipe;
  const datasets = datasetsOf(recipe);
  if (datasets.length === 0) {
    const { world, ...opened } = await worldOf(recipe, open, { tool, mcp, onNotice: control.onNotice });
    return { data: { demonstrations: worldDemonstrations(recipe, world), expert: world }, ...opened };
  }
  if (training.privileged)
    throw new UserError('training.privileged needs a world: a dataset has no answers and hints to show');
  const rows = await Mixture.of(datasets, dataset => openDemonstrations(dataset, { ...control, ...data }));
  const demonstrations = datasetDemonstrations(rows, tool);
  return { data: { demonstrations }, serverTools: [], close: async () => rows.close() };
}

async function openOnPolicy(recipe: OnPolicyRecipe, control: DownloadControl, open?: World): Promise<OpenTrainingData> {
  const { data, prompts, rollout, reward, tool, mcp } = recipe;
  const datasets = datasetsOf(recipe);
  const { toolTimeoutMs: timeoutMs, toolOutputChars: maxOutputChars } = rollout;
  const offered = { tool, mcp, timeoutMs, maxOutputChars, onNotice: control.onNotice };
  if (datasets.length === 0) {
    const { world, ...opened } = await worldOf(recipe, open, offered);
    return { data: { world }, ...opened };
  }
  const { equivalence, testTimeoutMs } = reward;
  const options = { ...data, prompts, equivalence, testTimeoutMs, offered };
  const { world, serverTools, close } = await openDatasetWorld(datasets, options, control);
  try {
    if ((await methodOf(recipe)).teacher === 'self-with-hint') refuseMissingHints(world);
    refuseUntaught(recipe, world);
  } catch (error) {
    await close();
    throw error;
  }
  return { data: { world }, serverTools, close };
}

/** @throws UserError where a task is for none of several teachers */
function refuseUntaught(recipe: OnPolicyRecipe, { size, task }: World & { size: number }): void {
  if (!recipe.teachers) return;
  const teacherOf = requiredTeacher(recipe);
  for (let index = 0; index < size; index++) teacherOf(task('train', index));
}

/** @throws UserError that says how to get the hints. */
function refuseMissingHints({ name, size, task }: World & { size: number }): void {
  let missing = 0;
  for (let index = 0; index < size; index++) if (task('train', index).hint === undefined) missing++;
  if (missing === 0) return;
  throw new UserError(
    `${missing} of ${size} problems of ${name} have no hint, which the method shows to its teacher: let a model write them, ` +
      'sod hints <model> --dataset <source> --out hinted.jsonl, and take dataset=hinted.jsonl',
  );
}
