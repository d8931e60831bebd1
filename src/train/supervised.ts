import { lossWeights } from '../methods/aggregation.ts';
import { type DemonstrationTokens, sft } from '../methods/sft.ts';
import type { Chat } from '../text/chat.ts';
import type { Message } from '../text/message.ts';
import { Clock } from './clock.ts';
import type { Demonstrations } from './demonstrations.ts';
import type { Learner, LearnerContext, Phase } from './learner.ts';
import { taskIndices } from './order.ts';
import type { SftRecipe } from './recipe.ts';
import { bySource } from './sources.ts';
import { update } from './update.ts';

/**
 * Supervised fine-tuning: the cold start. The policy learns to say what an expert said. An iteration is one update from
 * one batch of demonstrations.
 */
export function supervised(recipe: SftRecipe, context: LearnerContext, demonstrations: Demonstrations): Learner {
  const { trainer } = context;
  const { epochs, batchSize, maxTokens } = recipe.training;
  const count = Math.min(recipe.training.demonstrations, demonstrations.size ?? Infinity);
  const updates = Math.ceil((count * epochs) / batchSize);
  const lessons = lessonsOf(demonstrations, count, maxTokens, context);

  return {
    iterations: updates,
    updatesPerIteration: 1,

    async iterate(iteration) {
      const clock = new Clock<Phase>();
      const size = Math.min(batchSize, count * epochs - iteration * batchSize);
      const indices = taskIndices(recipe.seed, iteration * batchSize, size, count);
      const batch = await clock.time('demonstrations', () => lessons(indices));
      const weights = lossWeights(batch.map(({ mask }) => mask));
      const data = batch.map(({ tokens }, i) => ({ tokens, weights: weights[i] }));
      let logprobs: Float32Array[] = [];
      const metrics = await clock.time('update', () =>
        update(trainer, data, { kind: 'cross_entropy' }, recipe.optimizer, iteration, updates, output => {
          logprobs = output.logprobs;
        }),
      );
      const { sourceOf } = demonstrations;
      const sources = sourceOf && bySource(indices.map(sourceOf), places => lossOf(places, batch, logprobs));
      const leftOut = batch.filter(hasNoLesson).length;
      return { ...metrics, ...(sources && { sources }), ...(leftOut > 0 && { leftOut }), seconds: clock.seconds };
    },
  };
}

/**
 * Gives demonstrations as tokens, with the expert's own words to be learned: each is made when a batch first holds it, and
 * kept for the epochs to come. One after the other: sessions that take turns in one interpreter would have to be swapped at
 * every call.
 */
function lessonsOf(
  demonstrations: Demonstrations,
  count: number,
  maxTokens: number,
  { chat, signal, onProgress, onNotice }: LearnerContext,
): (indices: readonly number[]) => Promise<DemonstrationTokens[]> {
  const made = new Map<number, DemonstrationTokens>();
  let isTold = false;
  let isThoughtTold = chat.thought !== undefined;
  return async indices => {
    for (const index of indices) {
      if (made.has(index)) continue;
      signal.throwIfAborted();
      const { messages, solution, tools } = await demonstrations.get(index);
      const lesson = sft(demonstrationTokens(chat, chat.prompt(messages, tools), solution), maxTokens);
      made.set(index, lesson);
      if (!isThoughtTold && solution.some(message => message.role === 'assistant' && message.reasoning)) {
        isThoughtTold = true;
        onNotice('left out: the thoughts in demonstrations; thinking: on in the recipe teaches them');
      }
      if (hasNoLesson(lesson) && !isTold) {
        isTold = true;
        onNotice(
          `left out: demonstration ${index}, in which nothing is said within training.maxTokens, ${maxTokens} tokens; ` +
            'metrics.jsonl counts all such ones (leftOut)',
        );
      }
      onProgress({ phase: 'demonstrations', done: made.size, total: count });
    }
    return indices.map(index => made.get(index)!);
  };
}

/** Of some demonstrations of a batch: how many, and the mean loss of their learned tokens. */
function lossOf(places: readonly number[], batch: readonly DemonstrationTokens[], logprobs: readonly Float32Array[]) {
  let [tokens, loss] = [0, 0];
  for (const i of places) {
    batch[i].mask.forEach((said, t) => {
      tokens += said;
      if (said) loss -= logprobs[i][t];
    });
  }
  return { demonstrations: places.length, tokens, ...(tokens > 0 && { loss: loss / tokens }) };
}

/** Whether nothing is learned from it: the update is then made from the others. */
function hasNoLesson({ mask }: DemonstrationTokens): boolean {
  return mask.every(said => said === 0);
}

/** An expert's dialogue as the policy would have sampled it; `mask` is 1 on the expert's turns. */
export function demonstrationTokens(chat: Chat, prompt: number[], solution: readonly Message[]): DemonstrationTokens {
  const tokens = [...prompt];
  const turns: [start: number, end: number][] = [];
  let answers: string[] = [];
  for (const message of solution) {
    if (message.role !== 'assistant') {
      answers.push(message.content);
      continue;
    }
    if (answers.length > 0) tokens.push(...chat.observation(...answers));
    answers = [];
    const start = tokens.length;
    tokens.push(...chat.turn(message));
    turns.push([start, tokens.length]);
  }
  const mask = new Uint8Array(tokens.length);
  for (const [start, end] of turns) mask.fill(1, start, end);
  return { tokens, mask };
}
