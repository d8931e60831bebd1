import { stringify } from 'yaml';
import { datasetNames, type WeightedDataset } from '../data/mixture.ts';
import { readYaml } from '../documents.ts';
import { parseAddress } from '../engine/openai/address.ts';
import { UserError } from '../errors.ts';
import { isMethodModule } from '../methods/module.ts';
import { methods } from '../methods/registry.ts';
import { firstIssue, nearestName } from '../schema.ts';
import { isServerUrl } from '../serverUrl.ts';
import { isSection, merge, type Section } from './overrides.ts';
import { atAbsolutePaths } from './recipePaths.ts';
import { methodNames, moduleSchema, mostListed, type OnPolicyRecipe, type Recipe, schemas } from './recipeSchema.ts';
import { withDatasetNames } from './teachersSchema.ts';

export {
  type Init,
  initSchema,
  methodNames,
  type OnPolicyRecipe,
  type Recipe,
  type RecipeInput,
  type SftRecipe,
} from './recipeSchema.ts';

/**
 * Checks a recipe and fills in the defaults.
 * @throws UserError with one line that names the key and what is allowed.
 */
export function parseRecipe(input: unknown, source = 'recipe'): Recipe {
  const name = (input as { method?: unknown } | null)?.method;
  if (typeof name !== 'string' || !(methodNames.includes(name) || isMethodModule(name))) {
    const nearest = typeof name === 'string' ? nearestName(name, methodNames) : undefined;
    const given =
      name === undefined ? 'is required.' : `'${name}' is unknown${nearest ? `, did you mean '${nearest}'?` : '.'}`;
    throw new UserError(`${source}: method: ${given} Allowed: ${methodNames.join(', ')}, or the path of a module`);
  }
  const result = (isMethodModule(name) ? moduleSchema : schemas[name]).safeParse(input);
  if (!result.success) throw new UserError(`${source}: ${firstIssue(result.error)}`);
  const recipe = result.data as Recipe;
  if (!recipe.model === !recipe.init) {
    throw new UserError(`${source}: give either model (a checkpoint folder) or init (the shape of a fresh model)`);
  }
  if (recipe.dataset && recipe.datasets) throw new UserError(`${source}: give either dataset or datasets`);
  if (recipe.method === 'sft' && recipe.mcp?.length && datasetsOf(recipe).length > 0) {
    throw new UserError(
      `${source}: mcp: demonstrations of a dataset say themselves which tools there are: leave it out`,
    );
  }
  if (recipe.method !== 'sft' && recipe.method !== 'grpo' && recipe.rollout.refill > 0) {
    throw new UserError(`${source}: rollout.refill is grpo's alone: others learn from groups of equal rewards as well`);
  }
  if (recipe.method !== 'sft' && recipe.training.promptsPerIteration % recipe.training.promptsPerUpdate) {
    throw new UserError(`${source}: training.promptsPerIteration must be a multiple of training.promptsPerUpdate`);
  }
  if (recipe.method !== 'sft') {
    refuseServers(recipe, source);
    refuseTooMany(recipe, source);
    refuseTeachers(recipe, source);
  }
  if (recipe.evaluate?.tasks && datasetsOf(recipe).length > 0) {
    throw new UserError(
      `${source}: evaluate.tasks are those of a world: where problems come from a dataset, name others in evaluate.benchmark`,
    );
  }
  return withNamedTeachers(recipe, source);
}

function refuseServers(recipe: OnPolicyRecipe, source: string): void {
  const { teacher, rollout, engine } = recipe;
  if (teacher && isServerUrl(teacher)) parseAddress(teacher);
  if (rollout.server && engine.kind === 'tinker') {
    throw new UserError(`${source}: rollout.server: ${engine.url} samples by itself`);
  }
}

function refuseTooMany(recipe: OnPolicyRecipe, source: string): void {
  const trajectories = recipe.training.promptsPerIteration * recipe.rollout.groupSize;
  if (trajectories <= mostListed) return;
  throw new UserError(
    `${source}: training.promptsPerIteration × rollout.groupSize is ${trajectories}; at most ${mostListed} fit into memory`,
  );
}

/** A module's method is asked when it is loaded. */
function refuseTeachers({ method, teacher, teachers }: OnPolicyRecipe, source: string): void {
  if (teacher !== undefined && teachers) throw new UserError(`${source}: give either teacher or teachers`);
  const isMissing =
    !isMethodModule(method) && methods[method].teacher === 'model' && teacher === undefined && !teachers;
  if (isMissing) {
    throw new UserError(`${source}: teacher: must be the teacher's checkpoint folder, or the address of a server`);
  }
}

function withNamedTeachers(recipe: Recipe, source: string): Recipe {
  if (recipe.method === 'sft' || !recipe.teachers) return recipe;
  const references = datasetsOf(recipe);
  const datasets = datasetNames(references).map((name, i) => ({ name, source: references[i].source }));
  return { ...recipe, teachers: withDatasetNames(recipe.teachers, datasets, source) };
}

/**
 * Reads a recipe file. `overrides` have the shape of a recipe; what they hold wins over the file, the last over all.
 * @throws UserError if the file cannot be read or the recipe is not valid.
 */
export async function loadRecipe(file: string, ...overrides: Section[]): Promise<Recipe> {
  const written = readSection(file);
  if ('stages' in written) throw new UserError(`${file} is a comparison, not a recipe: it is for sod compare`);
  return atAbsolutePaths(parseRecipe(overrides.reduce(merge, written), file));
}

/**
 * What is in a recipe's file, unchecked; a tool that is the name of a preset is a section, so that its options can be put over it.
 * @throws UserError if it cannot be read, or holds no keys and values.
 */
export function readSection(file: string): Section {
  const recipe = readYaml(file);
  if (isSection(recipe)) return typeof recipe.tool === 'string' ? { ...recipe, tool: { preset: recipe.tool } } : recipe;
  throw new UserError(`${file}: a recipe is keys and values, such as 'method: sod'`);
}

/** The datasets that a recipe names; none where it learns in a world. */
export function datasetsOf({ dataset, datasets }: Pick<Recipe, 'dataset' | 'datasets'>): WeightedDataset[] {
  return datasets ?? (dataset ? [dataset] : []);
}

/** The recipe with every default written out, to keep beside what it produced. */
export function formatRecipe(recipe: Recipe): string {
  return stringify(recipe);
}
