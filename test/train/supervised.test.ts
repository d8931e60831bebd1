import { expect, test } from 'vitest';
import type { Datum, Trainer } from '../../src/engine/types.ts';
import type { Chat } from '../../src/text/chat.ts';
import type { LearnerContext, PhaseProgress } from '../../src/train/learner.ts';
import { parseRecipe, type SftRecipe } from '../../src/train/recipe.ts';
import { supervised } from '../../src/train/supervised.ts';

const recipe = parseRecipe({
  method: 'sft',
  model: 'm',
  training: { demonstrations: 10, epochs: 2, batchSize: 4, maxTokens: 3 },
}) as SftRecipe;

/** A learner of ten demonstrations, each of which spells its number; and what is done with them. */
function observed({ signal = new AbortController().signal, promptTokens = (_index: number): number => 1 } = {}) {
  const made: number[] = [];
  const batches: Datum[][] = [];
  const progress: PhaseProgress[] = [];
  const notices: string[] = [];
  const chat = {
    prompt: ([{ content }]) => Array(promptTokens(Number(content))).fill(100),
    turn: ({ content }) => [Number(content)],
    observation: () => [101],
  } as Partial<Chat> as Chat;
  const trainer: Partial<Trainer> = {
    async forwardBackward(batch) {
      batches.push(batch);
      return { loss: 0, tokens: 0, logprobs: [], metrics: {} };
    },
    optimStep: async () => ({ gradNorm: 0, version: 1 }),
  };
  const context: Partial<LearnerContext> = {
    chat,
    trainer: trainer as Trainer,
    signal,
    onProgress: event => progress.push(event),
    onNotice: notice => notices.push(notice),
  };
  const learner = supervised(recipe, context as LearnerContext, {
    async get(index) {
      made.push(index);
      const messages = [{ role: 'user' as const, content: String(index) }];
      return { messages, tools: [], solution: [{ role: 'assistant', content: String(index) }] };
    },
  });
  return {
    learner,
    made,
    batches,
    progress,
    notices,
    numbers: () => batches.map(batch => batch.map(({ tokens }) => tokens[1])),
  };
}

test('an update waits for the demonstrations of its own batch alone, and each is made once', async () => {
  const { learner, made, progress, numbers } = observed();
  for (let iteration = 0; iteration < learner.iterations; iteration++) {
    await learner.iterate(iteration);
    expect(made.length).toBe(Math.min(10, 4 * (iteration + 1)));
  }
  const all = numbers();
  expect(all.map(batch => batch.length)).toEqual([4, 4, 4, 4, 4]);
  expect(made).toEqual(all.flat().slice(0, 10));
  expect(made.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(progress.at(-1)).toEqual({ phase: 'demonstrations', done: 10, total: 10 });
});

test('a run that begins in the middle learns from the same batches', async () => {
  const whole = observed();
  for (let iteration = 0; iteration < 5; iteration++) await whole.learner.iterate(iteration);
  const resumed = observed();
  for (let iteration = 3; iteration < 5; iteration++) await resumed.learner.iterate(iteration);
  expect(resumed.batches).toEqual(whole.batches.slice(3));
});

test('who stops a run while demonstrations are made does not wait for the rest', async () => {
  const abort = new AbortController();
  const { learner, made, batches } = observed({ signal: abort.signal });
  abort.abort();
  await expect(learner.iterate(0)).rejects.toThrow('aborted');
  expect([made, batches]).toEqual([[], []]);
});

test('a demonstration whose prompt fills what is learned from is counted, and told once', async () => {
  const { learner, notices } = observed({ promptTokens: index => (index < 3 ? 3 : 2) });
  let leftOut = 0;
  for (let iteration = 0; iteration < learner.iterations; iteration++) {
    const metrics = await learner.iterate(iteration);
    leftOut += Number(metrics.leftOut ?? 0);
  }
  expect(leftOut).toBe(2 * 3);
  expect(notices).toEqual([expect.stringMatching(/^left out: demonstration [012], .* training\.maxTokens, 3 tokens/)]);
  const all = observed();
  expect(await all.learner.iterate(0)).not.toHaveProperty('leftOut');
  expect(all.notices).toEqual([]);
});
