import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { hubName } from '../hubName.ts';
import { isMethodModule } from '../methods/module.ts';
import { methods } from '../methods/registry.ts';
import { isServerUrl } from '../serverUrl.ts';
import { bestOf } from '../train/evaluationMetrics.ts';
import type { Init, Recipe } from '../train/recipe.ts';
import { readMetrics, readRecipe } from '../train/runDirectory.ts';
import { teachersOf } from '../train/teachers.ts';

/** Where a model comes from, as far as what lies beside it tells. */
export type Origin =
  | { kind: 'hub'; name: string }
  /** A teacher behind an address, which is nobody's business. */
  | { kind: 'served' }
  /** Random weights of a run's `init`. */
  | { kind: 'fresh'; init: Init }
  | { kind: 'run'; stage: Stage; model: Origin }
  /** A folder that does not say how it was made; `base` is what the recipe that names it says. */
  | { kind: 'folder'; name: string; base?: string };

/** One training run in the making of a model. */
export interface Stage {
  recipe: Recipe;
  /** Of the weights, if the run says how many. */
  updates?: number;
  /** The checkpoint of a run that had not come to its end. */
  isIntermediate: boolean;
  /** Other models, or the same one with a privileged prompt; none where it had nobody, or that is not known. */
  teachers?: readonly Origin[] | 'self';
}

/** Follows a model to what it was made from; `base` is what is said of it elsewhere. @throws UserError if a recipe is not valid. */
export function originOf(reference: string, base?: string, followed: readonly string[] = []): Origin {
  const name = hubName(reference);
  if (name) return { kind: 'hub', name };
  if (isServerUrl(reference)) return { kind: 'served' };
  const path = resolve(reference);
  const place = placeInRun(path);
  if (!place || followed.includes(path)) {
    return { kind: 'folder', name: modelName(path), base: base && hubName(base) };
  }
  const recipe = readRecipe(place.run);
  if (place.isInitial) {
    return recipe.init ? { kind: 'fresh', init: recipe.init } : { kind: 'folder', name: modelName(path) };
  }
  const follow = (from: string, itsBase?: string) => originOf(from, itsBase, [...followed, path]);
  return {
    kind: 'run',
    stage: {
      recipe,
      updates: place.updates ?? (place.isBest ? bestOf(readMetrics(place.run)) : readMetrics(place.run).at(-1))?.update,
      isIntermediate: place.updates !== undefined || place.isBest,
      teachers: taughtBy(recipe, follow),
    },
    model: recipe.init ? { kind: 'fresh', init: recipe.init } : follow(recipe.model!, recipe.base),
  };
}

function taughtBy(recipe: Recipe, follow: (from: string) => Origin): Stage['teachers'] {
  if (recipe.method === 'sft') return undefined;
  const teachers = teachersOf(recipe);
  if (teachers.length > 0) return teachers.map(({ place }) => follow(place));
  // A module is not run to be described: whether it has a teacher without another model is not known.
  if (isMethodModule(recipe.method)) return undefined;
  return methods[recipe.method].teacher ? 'self' : undefined;
}

/** What a model is in its run; of a numbered checkpoint, the updates are in its name. */
interface Place {
  run: string;
  isInitial: boolean;
  isBest: boolean;
  updates?: number;
}

/** The run that `path` is a model of, if it is one of the places where runs keep theirs. */
function placeInRun(path: string): Place | undefined {
  const name = basename(path);
  const isNumbered = /^\d+$/.test(name) && basename(dirname(path)) === 'checkpoints';
  if (!isNumbered && !['final', 'best', 'initial'].includes(name)) return undefined;
  const run = isNumbered ? dirname(dirname(path)) : dirname(path);
  if (!existsSync(join(run, 'recipe.yaml'))) return undefined;
  return {
    run,
    isInitial: name === 'initial',
    isBest: name === 'best',
    updates: isNumbered ? Number(name) : undefined,
  };
}

/** What a model in this folder is called: within a run, by the run's name. */
export function modelName(path: string): string {
  const parts = resolve(path).split(/[\\/]/);
  const name = parts.at(-1)!;
  if (name === 'final') return parts.at(-2)!;
  if (name === 'initial' || name === 'best') return `${parts.at(-2)}-${name}`;
  return parts.at(-2) === 'checkpoints' ? `${parts.at(-3)}-${name}` : name;
}

/** The runs that made a model, in their order, and what the first of them began with. */
export function stagesOf(origin: Origin): { root: Exclude<Origin, { kind: 'run' }>; stages: Stage[] } {
  if (origin.kind !== 'run') return { root: origin, stages: [] };
  const { root, stages } = stagesOf(origin.model);
  return { root, stages: [...stages, origin.stage] };
}

/** The model on the Hub that a model was made from, if there is one. */
export function baseOnHub(origin: Origin): string | undefined {
  const { root } = stagesOf(origin);
  if (root.kind === 'hub') return root.name;
  return root.kind === 'folder' ? root.base : undefined;
}
