import { adapterBase } from '../checkpoint/adapter.ts';
import { readBlockBytes } from '../checkpoint/shape.ts';
import {
  availableMemory,
  type MemoryPart,
  type MemoryPlan,
  partsOf,
  planMemory,
  refuseTooLarge,
} from '../engine/local/memory.ts';
import { type MemoryNeed, total } from '../engine/local/memoryNeed.ts';
import { type Settings, settled } from '../engine/local/settings.ts';
import { currentFolder, realPlace } from '../files.ts';
import { hubName } from '../hubName.ts';
import type { ModelConfig } from '../model/config.ts';
import { isServerUrl } from '../serverUrl.ts';
import type { Recipe } from './recipe.ts';

/** What a run takes on this machine at the same time. */
export interface RunMemory {
  parts: MemoryPart[];
  /** How the model that is trained is held so that it fits. */
  student: MemoryPlan;
}

/** The shapes of a run's models. */
export interface RunModels {
  model: ModelConfig;
  /** Those that score and are computed here: another model's folder, or none, where the model scores as it was at first. */
  scorers?: readonly { place?: string; config: ModelConfig }[];
}

/** @param recipe whose models are named by where they are, as far as they are here */
export function planRunMemory(
  recipe: Recipe,
  { model, scorers = [] }: RunModels,
  available = memoryFor(recipe, model),
): RunMemory {
  const { lora } = recipe;
  const settings = settingsOf(recipe, model);
  const common = { ...settings, longest: longestSequence(recipe) };
  const blockBytes = (checkpoint?: string) =>
    checkpoint === undefined || hubName(checkpoint) ? undefined : readBlockBytes(checkpoint, common.dtype);
  const scoring = scorers.map(({ place, config }) => {
    const options = {
      ...common,
      trainable: false,
      scoresOnly: true,
      sharesBase: sharesBase(recipe, place),
      blockBytes: blockBytes(place ?? recipe.model),
    };
    return planMemory(config, options, available);
  });
  const ofScorers = (what: keyof MemoryNeed) => scoring.reduce((sum, { need }) => sum + need[what], 0);
  const cache = samplesHere(recipe) ? settings.cacheBytes : 0;
  const training = { ...common, trainable: true, lora, blockBytes: lora && blockBytes(recipe.model) };
  const beside = scoring.reduce((sum, { need }) => sum + total(need), cache);
  const student = planMemory(model, training, available - beside);
  const { need } = student;
  const together = {
    ...need,
    activations: need.activations + ofScorers('activations'),
    positions: need.positions + ofScorers('positions'),
    cache,
  };
  const parts = partsOf({ ...student, need: together });
  const held = scoring.map(({ need, inBlocks }) => ({
    what: inBlocks ? 'teacher in blocks' : 'teacher',
    bytes: need.weights + need.expanded,
  }));
  return { parts: [...parts, ...held.filter(({ bytes }) => bytes > 0)], student };
}

/**
 * The recipe with an engine on one device that holds its models so that they fit.
 * @throws UserError where they cannot, however they are held
 */
export function fitted(recipe: Recipe, models: RunModels, available = memoryFor(recipe, models.model)): Recipe {
  const { engine } = recipe;
  if (engine.kind === 'tinker') return recipe;
  const { parts, student } = planRunMemory(recipe, models, available);
  refuseTooLarge('this run', parts, available);
  const { recompute, inBlocks } = student;
  const device = deviceOf(recipe, models.model);
  return { ...recipe, engine: { ...engine, device, recompute, ...(inBlocks && { quantized: 'blocks' }) } };
}

function settingsOf({ engine }: Recipe, model: ModelConfig | undefined): Settings {
  return settled(engine.kind === 'tinker' ? {} : engine, model);
}

/** Where its models are, if they are on this machine. */
export function deviceOf(recipe: Recipe, model: ModelConfig | undefined): Settings['device'] {
  return settingsOf(recipe, model).device;
}

function memoryFor(recipe: Recipe, model: ModelConfig): number {
  return availableMemory(deviceOf(recipe, model));
}

/** Whether a teacher is made of the weights that adapters are trained over: the model itself, or other adapters over it. */
export function sharesBase({ lora, model }: Recipe, teacher: string | undefined): boolean {
  if (!lora) return false;
  if (teacher === undefined || teacher === model) return true;
  if (model === undefined || hubName(teacher) || isServerUrl(teacher)) return false;
  const base = adapterBase(currentFolder(teacher)) ?? teacher;
  return realPlace(base) === realPlace(model);
}

function longestSequence(recipe: Recipe): number {
  if (recipe.method === 'sft') return recipe.training.maxTokens;
  return recipe.rollout.maxPromptTokens + recipe.rollout.maxResponseTokens;
}

/** Whether keys and values of what is sampled are held here. */
function samplesHere(recipe: Recipe): boolean {
  return recipe.method === 'sft' ? recipe.evaluate !== undefined : recipe.rollout.server === undefined;
}
