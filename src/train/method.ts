import type { Method } from '../methods/method.ts';
import { methods } from '../methods/registry.ts';
import type { OnPolicyRecipe } from './recipe.ts';

/** The method that a recipe names, with its options. */
export function methodOf(recipe: OnPolicyRecipe): Method {
  return methods[recipe.method](recipe[recipe.method]);
}
