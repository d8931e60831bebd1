import { grpo } from '../methods/grpo.ts';
import type { Method } from '../methods/method.ts';
import { opd } from '../methods/opd.ts';
import { sod } from '../methods/sod.ts';
import type { OnPolicyRecipe } from './recipe.ts';

/** The method that a recipe names, with its options. */
export function methodOf(recipe: OnPolicyRecipe): Method {
  switch (recipe.method) {
    case 'grpo':
      return grpo(recipe.grpo);
    case 'opd':
      return opd(recipe.opd);
    case 'sod':
      return sod(recipe.sod);
  }
}
