import type { ConnectionOptions } from '../engine/openai/connection.ts';
import type { ServedPolicy } from '../engine/openai/servedPolicy.ts';
import type { Trainer } from '../engine/types.ts';
import { loadChat } from '../text/loadChat.ts';
import { promptOf } from '../worlds/promptLength.ts';
import { tasksOf } from '../worlds/tasks.ts';
import type { World } from '../worlds/world.ts';
import type { Recipe } from './recipe.ts';

/** Most tokens of the prompt by which a server shows which weights it has. */
const probeTokens = 512;

/**
 * A trainer whose policy samples on the server that the recipe names; undefined where it names none.
 * @param checkpoint folder of the model that is trained
 * @throws UserError where the server cannot take the policy's place
 */
export async function openServedPolicy(
  recipe: Recipe,
  trainer: Trainer,
  checkpoint: string,
  world: World,
  control: ConnectionOptions,
): Promise<ServedPolicy | undefined> {
  if (recipe.method === 'sft' || !recipe.rollout.server) return undefined;
  const { ServedPolicy } = await import('../engine/openai/servedPolicy.ts');
  const { server, concurrency } = recipe.rollout;
  const [task] = await tasksOf(world, 'train', [recipe.training.firstTask], control.signal);
  const prompt = promptOf(world, task, loadChat(checkpoint));
  return ServedPolicy.open(trainer, {
    ...control,
    ...server,
    checkpoint,
    prompt: prompt.slice(0, probeTokens),
    concurrency,
  });
}
