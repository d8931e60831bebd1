import { expect, test } from 'vitest';
import { UserError } from '../../src/errors.ts';
import type { Chat } from '../../src/text/chat.ts';
import type { SamplingContext } from '../../src/train/learner.ts';
import { taskIndices } from '../../src/train/order.ts';
import { type OnPolicyRecipe, parseRecipe } from '../../src/train/recipe.ts';
import { batchOfTasks, trainingTasks } from '../../src/train/trainingTasks.ts';
import type { World } from '../../src/worlds/world.ts';

const recipe = (training: Record<string, unknown> = {}) =>
  parseRecipe({
    method: 'grpo',
    model: 'm',
    seed: 5,
    rollout: { maxPromptTokens: 10 },
    training: { iterations: 6, promptsPerIteration: 4, promptsPerUpdate: 2, ...training },
  }) as OnPolicyRecipe;

/** A world whose index-th task has a prompt of so many tokens; and what a run learns on in it. */
async function chosenOf(length: (index: number) => number, size?: number, training?: Record<string, unknown>) {
  const world: World = {
    name: 'lengths',
    size,
    task: (_, index) => ({
      id: `task-${index}`,
      messages: [{ role: 'user', content: String(length(index)) }],
      answer: '',
    }),
    tools: () => [],
  };
  const chat: Partial<Chat> = { prompt: ([{ content }]) => Array(Number(content)).fill(0) };
  const notices: string[] = [];
  const context: Partial<SamplingContext> = {
    world,
    chat: chat as Chat,
    signal: new AbortController().signal,
    onProgress: () => {},
    onNotice: notice => notices.push(notice),
  };
  const chosen = await trainingTasks(recipe(training), context as SamplingContext);
  const iterations = Array.from({ length: 6 }, (_, i) => batchOfTasks(chosen, recipe(training), world, i));
  expect(iterations.flat().map(({ id }) => id)).toEqual(chosen.map(index => `task-${index}`));
  return { chosen, notices };
}

test('where all prompts fit, the tasks are those of the order of a run', async () => {
  expect(await chosenOf(() => 10)).toEqual({ chosen: taskIndices(5, 0, 24), notices: [] });
  expect(await chosenOf(() => 10, 7)).toEqual({ chosen: taskIndices(5, 0, 24, 7), notices: [] });
  const shifted = await chosenOf(() => 10, undefined, { tasks: 7, firstTask: 100 });
  expect(shifted).toEqual({ chosen: taskIndices(5, 0, 24, 7).map(index => 100 + index), notices: [] });
});

test('prompts that are too long are left out, and counted', async () => {
  const length = (index: number) => (index % 5 === 3 ? 11 : 10);
  const endless = await chosenOf(length);
  expect(endless.chosen).toEqual([...Array(40).keys()].filter(index => index % 5 !== 3).slice(0, 24));
  expect(endless.notices).toEqual([
    '6 of 32 tasks have prompts of more than 10 tokens (rollout.maxPromptTokens), such as task-3 with 11: they are left out',
  ]);
  const finite = await chosenOf(length, 7);
  expect(finite.chosen).toEqual(
    taskIndices(5, 0, 70, 7)
      .filter(index => index !== 3)
      .slice(0, 24),
  );
  expect(finite.notices[0]).toMatch(/^1 of 7 tasks .* task-3 with 11/);
});

test('one task that fits is enough', async () => {
  expect((await chosenOf(index => (index === 4 ? 10 : 11), 7)).chosen).toEqual(Array(24).fill(4));
});

test.each([undefined, 7])('a world of %s tasks whose prompts are all too long is refused', async size => {
  const refusal = await chosenOf(index => 11 + index, size).catch(error => error);
  expect(refusal).toBeInstanceOf(UserError);
  expect(refusal.message).toMatch(/^(\d+) of \1 tasks have prompts of more than 10 tokens .* too few others are left/);
});
