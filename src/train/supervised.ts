import { privilegedMessages } from '../data/privileged.ts';
import type { Task } from '../data/task.ts';
import type { Datum } from '../engine/types.ts';
import { UserError } from '../errors.ts';
import { sft } from '../methods/sft.ts';
import { Random } from '../random.ts';
import type { Chat } from '../text/chat.ts';
import type { Message } from '../text/message.ts';
import { toolSchema } from '../tools/schema.ts';
import { Clock } from './clock.ts';
import type { Learner, Phase, Studio } from './learner.ts';
import { taskIndices } from './order.ts';
import type { SftRecipe } from './recipe.ts';
import { update } from './update.ts';

/**
 * Supervised fine-tuning: the cold start. The expert of the world solves training tasks, and the policy learns
 * to say what the expert said. An iteration is one update from one batch of demonstrations.
 */
export function supervised(recipe: SftRecipe, studio: Studio): Learner {
  const { trainer } = studio;
  const { demonstrations, epochs, batchSize } = recipe.training;
  const updates = Math.ceil((demonstrations * epochs) / batchSize);
  let data: Datum[] | undefined;

  return {
    iterations: updates,
    updatesPerIteration: 1,

    async iterate(iteration) {
      const clock = new Clock<Phase>();
      data ??= await clock.time('demonstrations', () => demonstrate(recipe, studio));
      const size = Math.min(batchSize, demonstrations * epochs - iteration * batchSize);
      const batch = taskIndices(recipe.seed, iteration * batchSize, size, demonstrations).map(index => data![index]);
      const metrics = await clock.time('update', () =>
        update(trainer, batch, { kind: 'cross_entropy' }, recipe.optimizer, iteration, updates),
      );
      return { ...metrics, seconds: clock.seconds };
    },
  };
}

/**
 * The expert's solutions of the first training tasks, as tokens with the expert's own words to be learned. One after the
 * other: sessions that take turns in one interpreter would have to be swapped at every call.
 */
async function demonstrate(recipe: SftRecipe, { chat, world, signal, onProgress }: Studio): Promise<Datum[]> {
  const { demonstrations, maxTokens } = recipe.training;
  if (!world.demonstrate)
    throw new UserError(`world ${world.name} has no expert to learn from: sft needs its demonstrate`);
  const data: Datum[] = [];
  for (let index = 0; index < demonstrations && !signal.aborted; index++) {
    const task = world.task('train', index);
    const solution = await world.demonstrate(task, Random.of(recipe.seed, 'demonstration', index));
    const prompt = chat.prompt(promptMessages(recipe, task, index), world.tools(task).map(toolSchema));
    data.push(sft(demonstrationTokens(chat, prompt, solution), maxTokens));
    if (data.length % 50 === 0) onProgress({ phase: 'demonstrations', done: data.length, total: demonstrations });
  }
  return data;
}

/** The task's messages, in some of which the answer or the hint is shown. */
function promptMessages({ seed, training: { privileged } }: SftRecipe, task: Task, index: number): Message[] {
  const chance = Random.of(seed, 'privileged', index).uniform();
  if (chance >= 2 * privileged) return task.messages;
  return privilegedMessages(task, chance < privileged ? 'answer' : 'hint');
}

/** An expert's dialogue as the policy would have sampled it; `mask` is 1 on the expert's turns. */
export function demonstrationTokens(chat: Chat, prompt: number[], solution: readonly Message[]) {
  const tokens = [...prompt];
  const turns: [start: number, end: number][] = [];
  for (const message of solution) {
    const start = tokens.length;
    if (message.role === 'assistant') {
      tokens.push(...chat.turn(message));
      turns.push([start, tokens.length]);
    } else {
      tokens.push(...chat.observation(message.content));
    }
  }
  const mask = new Uint8Array(tokens.length);
  for (const [start, end] of turns) mask.fill(1, start, end);
  return { tokens, mask };
}
