/** The engine that a run computes on, and its models: where they are, on which device, and held so that they fit. */
import { localCheckpoint } from '../checkpoint/reference.ts';
import { readShape } from '../checkpoint/shape.ts';
import type { DownloadControl } from '../data/dataset.ts';
import type { WorkerOptions } from '../engine/local/protocol.ts';
import type { Engine } from '../engine/types.ts';
import { UserError } from '../errors.ts';
import type { Method } from '../methods/method.ts';
import { isServerUrl } from '../serverUrl.ts';
import { defaultVocabulary } from '../worlds/tokenizer.ts';
import { freshConfig } from './initialize.ts';
import type { Recipe } from './recipe.ts';
import { fitted } from './runMemory.ts';
import { scorersHere, teachersOf, withTeachersAt } from './teachers.ts';
import { startTinkerEngine } from './tinkerEngine.ts';

/** The recipe with its models named by the folders that they are in; teachers may have addresses. Those of the Hub are downloaded. */
export async function withLocalModels<R extends Recipe>(recipe: R, control: DownloadControl): Promise<R> {
  const model = recipe.model && (await localCheckpoint(recipe.model, control));
  const places: string[] = [];
  for (const { place } of teachersOf(recipe)) {
    places.push(isServerUrl(place) ? place : await localCheckpoint(place, control));
  }
  return withTeachersAt({ ...recipe, model }, places);
}

/**
 * The engine of a run.
 * @param recipe whose models are named by where they are
 * @param device in the place of the recipe's
 * @throws UserError where the models do not fit into memory, all of them at once, or as `startEngine`
 */
export function startRunEngine(
  recipe: Recipe,
  method: Method | undefined,
  device: WorkerOptions['device'] | undefined,
  onNotice: (notice: string) => void,
): Promise<Engine> {
  return startEngine(fittedHere(onDevice(recipe, device), method), onNotice);
}

/** The engine that a recipe describes. @throws UserError where it cannot do what the recipe asks for */
export async function startEngine(
  recipe: Pick<Recipe, 'engine'> & Partial<Recipe>,
  onNotice?: (notice: string) => void,
): Promise<Engine> {
  const { engine } = recipe;
  if (engine.kind === 'tinker') return startTinkerEngine(engine, recipe, onNotice);
  const { LocalEngine } = await import('../engine/local/engine.ts');
  return LocalEngine.start({ ...engine, onNotice });
}

/** The recipe, to be computed on a device in the place of its own. @throws UserError where its engine is a server */
export function onDevice(recipe: Recipe, device: WorkerOptions['device'] | undefined): Recipe {
  const { engine } = recipe;
  if (device === undefined) return recipe;
  if (engine.kind === 'tinker') throw new UserError("--device is this machine's, and the recipe's engine is a server");
  return { ...recipe, engine: { ...engine, device } };
}

function fittedHere(recipe: Recipe, method: Method | undefined): Recipe {
  const model = recipe.init ? freshConfig(recipe.init, defaultVocabulary) : readShape(recipe.model!);
  if (!model) return recipe; // whoever opens it says what is missing
  const scorers = scorersHere(recipe, method?.teacher).flatMap(place => {
    const config = place === undefined ? model : readShape(place);
    return config ? { place, config } : [];
  });
  return fitted(recipe, { model, scorers });
}
