import { join } from 'node:path';
import { expect, test } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { evaluate } from '../../src/eval/evaluate.ts';
import { Journal } from '../../src/eval/journal.ts';
import { sampleOf, sampleSchema } from '../../src/eval/sample.ts';
import { sampleMissing } from '../../src/eval/sampling.ts';
import type { Chat } from '../../src/text/chat.ts';
import type { World } from '../../src/worlds/world.ts';
import { ScriptedSampler } from '../agent/scripted.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

/** The index-th task has a prompt of index + 1 tokens. */
const world: World = {
  name: 'lengths',
  task: (_, index) => ({
    id: `task-${index}`,
    messages: [{ role: 'user', content: '.'.repeat(index + 1) }],
    answer: '',
  }),
  tools: () => [],
};
const chat = { prompt: ([{ content }]) => [...content].map(() => 0) } as Partial<Chat> as Chat;
const sampling = { temperature: 1, topP: 1, maxTurns: 1, maxPromptTokens: 8, maxResponseTokens: 4, seed: 0 };
const refusal =
  '2 of 10 prompts have more than the 8 tokens that are allowed, the longest is that of task task-9 with 10: ' +
  'allow more, or leave them out';

test('an evaluation whose prompts are too long is refused before its first sample', async () => {
  const sampler = new ScriptedSampler([]);
  await expect(evaluate(sampler, chat, world, { ...sampling, tasks: 10, k: 2 })).rejects.toThrow(
    new UserError(refusal),
  );

  const journal = new Journal(join(temporaryFolder(), 'journal.jsonl'), sampleSchema, ({ task }) => task);
  const range = { world, split: 'test' as const, tasks: 10 };
  const settings = { ...sampling, samples: 1, runs: 1 };
  await expect(sampleMissing({ chat, sampler }, range, settings, journal, sampleOf)).rejects.toThrow(refusal);
  journal.close();
  expect(sampler.conversations).toEqual([]);
});
