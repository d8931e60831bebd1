import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hubName } from '../hubName.ts';
import { loadChat } from '../text/loadChat.ts';
import { withoutPlace } from '../tools/profile.ts';
import { promptLength } from '../worlds/promptLength.ts';
import type { World } from '../worlds/world.ts';
import { missingImports } from './importsPlan.ts';
import { datasetsOf, type Recipe } from './recipe.ts';
import { openTrainingData } from './trainingData.ts';

/**
 * What a recipe's datasets hold and what of them would be left out, in lines; none where it has none, or they are on the Hub. A
 * file that is not here yet is named.
 * @throws UserError if the run would refuse it.
 */
export async function planData(recipe: Recipe): Promise<string[]> {
  const datasets = datasetsOf(recipe);
  const local = datasets.map(({ source }) => source).filter(source => !hubName(source));
  const missing = local.filter(source => !existsSync(source));
  if (missing.length > 0) return [`no dataset yet in ${missing.join(' and ')}`];
  if (datasets.length === 0 || local.length < datasets.length) return [];
  const notices: string[] = [];
  // Nothing is run: packages that its code would need may be missing, and servers.
  const unarmed = { ...recipe, mcp: [], tool: { ...withoutPlace(recipe.tool), packages: [] } };
  const { data, close } = await openTrainingData(unarmed, { onNotice: notice => notices.push(notice) });
  try {
    if ('demonstrations' in data) {
      const { demonstrations } = data;
      return [
        `${demonstrations.size} demonstrations`,
        ...notices,
        ...(await missingImports(demonstrations, recipe.tool)),
      ];
    }
    return [`${data.world.size} problems`, ...notices, ...longPrompts(recipe, data.world)];
  } finally {
    await close();
  }
}

/** How many prompts are too long, where the model that reads them is here. */
function longPrompts(recipe: Recipe, world: World): string[] {
  const { model } = recipe;
  if (recipe.method === 'sft' || !model || !existsSync(join(model, 'tokenizer.json'))) return [];
  const { maxPromptTokens } = recipe.rollout;
  const chat = loadChat(model);
  let long = 0;
  for (let index = 0; index < world.size!; index++) {
    if (promptLength(world, world.task('train', index), chat) > maxPromptTokens) long++;
  }
  return long > 0 ? [`left out: ${long} prompts of more than ${maxPromptTokens} tokens (rollout.maxPromptTokens)`] : [];
}
