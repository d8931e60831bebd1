import type { Wishes } from '../engine/tinker/dialect.ts';
import { isServerUrl } from '../serverUrl.ts';
import type { Recipe } from './recipe.ts';
import { teachersOf } from './teachers.ts';

/** What a recipe asks of a server that trains, where that is something that not every server can; undefined where it trains nothing. */
export function wishesOf(recipe: Partial<Recipe>): Wishes | undefined {
  const { optimizer, lora, save } = recipe;
  if (!optimizer) return undefined;
  const loss = 'loss' in recipe ? recipe.loss : undefined;
  const teachers = teachersOf(recipe);
  const isTaughtElsewhere = teachers.length > 0 && teachers.every(({ place }) => isServerUrl(place));
  const alternatives = recipe.method === 'sft' || isTaughtElsewhere ? 0 : save?.alternatives;
  return { optimizer, loss, lora, alternatives };
}
