import type { Datum } from '../engine/types.ts';
import { sft } from '../methods/sft.ts';
import type { Chat } from '../text/chat.ts';
import type { Message } from '../text/message.ts';
import { Clock } from './clock.ts';
import type { Demonstrations } from './demonstrations.ts';
import type { Learner, Phase, Studio } from './learner.ts';
import { taskIndices } from './order.ts';
import type { SftRecipe } from './recipe.ts';
import { update } from './update.ts';

/**
 * Supervised fine-tuning: the cold start. The policy learns to say what an expert said. An iteration is one update from
 * one batch of demonstrations.
 */
export function supervised(recipe: SftRecipe, studio: Studio, demonstrations: Demonstrations): Learner {
  const { trainer } = studio;
  const { epochs, batchSize, maxTokens } = recipe.training;
  const count = Math.min(recipe.training.demonstrations, demonstrations.size ?? Infinity);
  const updates = Math.ceil((count * epochs) / batchSize);
  let data: Datum[] | undefined;

  return {
    iterations: updates,
    updatesPerIteration: 1,

    async iterate(iteration) {
      const clock = new Clock<Phase>();
      data ??= await clock.time('demonstrations', () => demonstrate(count, maxTokens, demonstrations, studio));
      const size = Math.min(batchSize, count * epochs - iteration * batchSize);
      const batch = taskIndices(recipe.seed, iteration * batchSize, size, count).map(index => data![index]);
      const metrics = await clock.time('update', () =>
        update(trainer, batch, { kind: 'cross_entropy' }, recipe.optimizer, iteration, updates),
      );
      return { ...metrics, seconds: clock.seconds };
    },
  };
}

/**
 * The first demonstrations as tokens, with the expert's own words to be learned. One after the other: sessions that take
 * turns in one interpreter would have to be swapped at every call.
 */
async function demonstrate(
  count: number,
  maxTokens: number,
  demonstrations: Demonstrations,
  { chat, signal, onProgress }: Studio,
): Promise<Datum[]> {
  const data: Datum[] = [];
  for (let index = 0; index < count; index++) {
    signal.throwIfAborted();
    const { messages, solution, tools } = await demonstrations.get(index);
    data.push(sft(demonstrationTokens(chat, chat.prompt(messages, tools), solution), maxTokens));
    if (data.length % 50 === 0) onProgress({ phase: 'demonstrations', done: data.length, total: count });
  }
  return data;
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
