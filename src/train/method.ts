import { UserError } from '../errors.ts';
import type { Method } from '../methods/method.ts';
import { importMethod, isMethodModule } from '../methods/module.ts';
import { methods } from '../methods/registry.ts';
import type { OnPolicyRecipe } from './recipe.ts';
import { teachersOf } from './teachers.ts';

/**
 * The method that a recipe names, with its options, or that of the module it names.
 * @throws UserError if there is no such module, or the recipe does not say the teacher that it asks for.
 */
export async function methodOf(recipe: OnPolicyRecipe): Promise<Method> {
  if (!isMethodModule(recipe.method)) return methods[recipe.method](recipe[recipe.method]);
  const method = await importMethod(recipe.method);
  const isTaught = teachersOf(recipe).length > 0;
  if (method.teacher === 'model' && !isTaught) {
    throw new UserError(`teacher: must be the teacher's checkpoint folder: method ${recipe.method} learns from one`);
  }
  if (method.teacher !== 'model' && isTaught) {
    throw new UserError(`teacher: method ${recipe.method} learns from no other model: leave it out`);
  }
  return method;
}
