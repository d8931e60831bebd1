import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openTasks } from '../../src/data/tasks.ts';
import type { Engine, Sampler } from '../../src/engine/types.ts';
import { writeHints } from '../../src/hints/writeHints.ts';
import { loadChat } from '../../src/text/loadChat.ts';
import { planTraining } from '../../src/train/plan.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { openDatasetWorld } from '../../src/worlds/dataset.ts';
import { asciiCheckpoint } from '../text/checkpoints.ts';

const folder = mkdtempSync(join(tmpdir(), 'sod-hints-'));
const template =
  "{% for m in messages %}{{ '<who>' + m.role + ' ' + m.content + '<eot>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<who>assistant ' }}{% endif %}";
const checkpoint = asciiCheckpoint(['<eot>', '<who>'], template);
const chat = loadChat(checkpoint);

const problems = join(folder, 'problems.jsonl');
const rows = [
  ...Array.from({ length: 6 }, (_, i) => ({ prompt: `Problem ${i}?`, answer: `${i}` })),
  { prompt: 'Add them.', tests: { inputs: ['1 2'], outputs: ['3'] } },
  { prompt: 'Add them.', tests: { assert_case: ['assert add(1, 2) == 3'], import_prefix: 'import math' } },
];
writeFileSync(problems, rows.map(row => `${JSON.stringify(row)}\n`).join(''));

/** An engine whose model quotes what it was asked; problem 4 goes beyond its limit. */
function quoting(asked: string[]): Engine {
  const sampler: Partial<Sampler> = {
    async open(prompt) {
      const text = chat.decode(prompt);
      const isLong = text.includes('Problem 4?');
      const hint = `Think of ${/(Problem \d|Add them)/.exec(text)![1]}.`;
      return {
        async generate() {
          asked.push(text);
          const tokens = chat.turn({ role: 'assistant', content: hint });
          return { tokens, logprobs: tokens.map(() => 0), stopReason: isLong ? 'length' : 'stop' };
        },
        append() {},
        close() {},
      };
    },
  };
  return { sampler: async () => sampler } as Partial<Engine> as Engine;
}

const settings = {
  samples: 1,
  runs: 1,
  temperature: 0,
  topP: 1,
  maxTurns: 1,
  maxPromptTokens: 8192,
  maxResponseTokens: 512,
  seed: 0,
};

test('each problem gets a hint from one who sees its answer; a run that was stopped goes on', async () => {
  const opened = await openDatasetWorld({ source: problems }, { equivalence: 'exact' });
  const stop = new AbortController();
  const [first, second]: string[][] = [[], []];
  const out = join(folder, 'hinted.jsonl');
  const onProgress = (done: number) => done === 3 && stop.abort(new Error('stopped'));
  const options = { out, servedAs: 'teacher' };
  const control = { signal: stop.signal, onProgress, concurrency: 1 };
  await expect(writeHints(quoting(first), checkpoint, opened, settings, options, control)).rejects.toThrow('stopped');
  const result = await writeHints(quoting(second), checkpoint, opened, settings, options);
  expect(result).toEqual({ written: 7, total: 8 });
  expect([first.length, second.length]).toEqual([3, 5]);
  expect(first[1]).toMatch(/Problem 1\?.*Answer: 1\n\nDo not solve this problem now\./s);

  const [before, after] = await Promise.all([problems, out].map(source => openTasks({ source })));
  const left = [0, 1, 2, 3, 5, 6, 7].map(index => before.read(index));
  const hints = left.map(({ messages }) => `Think of ${/(Problem \d|Add them)/.exec(messages[0].content)![1]}.`);
  const hinted = left.map((_, i) => after.read(i));
  expect(hinted.map(({ id, ...task }) => task)).toEqual(
    left.map(({ id, ...task }, i) => ({ ...task, hint: hints[i] })),
  );
  const whole = join(folder, 'whole.jsonl');
  await writeHints(quoting([]), checkpoint, opened, settings, { ...options, out: whole });
  expect(readFileSync(whole, 'utf8')).toBe(readFileSync(out, 'utf8'));
  await opened.close();
});

test('opsd-hint is refused at its plan where problems have no hints, with the remedy; with them it is planned', async () => {
  const recipe = (dataset: string) =>
    parseRecipe({ method: 'opsd-hint', model: 'm', base: 'hf:Qwen/Qwen3-0.6B', dataset });
  await expect(planTraining(recipe(problems))).rejects.toThrow(
    /^8 of 8 problems of .*problems\.jsonl have no hint.*sod hints <model> --dataset <source> --out hinted\.jsonl/,
  );
  expect((await planTraining(recipe(join(folder, 'hinted.jsonl')))).data).toEqual(['7 problems']);
});
