import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { toolOfModel } from '../../src/tools/agentFile.ts';
import { toolPresets } from '../../src/tools/profile.ts';
import { planTraining } from '../../src/train/plan.ts';
import { formatPlan } from '../../src/train/planText.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { train } from '../../src/train/train.ts';
import type { TrainEvent } from '../../src/train/trainEvent.ts';
import { dialogueColumns, messages, problems, writeProblems } from '../data/trainingRows.ts';
import { writeParquet } from '../data/writeParquet.ts';

const folder = mkdtempSync(join(tmpdir(), 'sod-left-out-'));
const init = { hiddenSize: 16, intermediateSize: 16, layers: 1, heads: 1, kvHeads: 1, headDim: 16 };
const final = join(folder, 'sft', 'final');

/** Two hundred dialogues, the first of which are broken. */
function dialogues(broken: number): string {
  const rows = Array.from({ length: 200 }, (_, i) => ({ messages: i < broken ? messages.slice(1) : messages }));
  return writeParquet(`dialogues-${broken}.parquet`, dialogueColumns, rows);
}

const sft = (dataset: unknown, data = {}) =>
  parseRecipe({
    method: 'sft',
    dataset,
    data,
    init,
    tool: 'paper',
    training: { demonstrations: 8, epochs: 1, batchSize: 8 },
  });

async function noticesOf(recipe: ReturnType<typeof parseRecipe>, runDir: string): Promise<string[]> {
  const events: TrainEvent[] = [];
  await train(recipe, { runDir, onProgress: event => events.push(event) });
  return events.flatMap(event => (event.kind === 'notice' ? [event.notice] : []));
}

test('three per cent of broken rows are left out and counted, by the plan too; the others are trained on', async () => {
  const source = dialogues(6);
  const recipe = sft(source);
  const leftOut = `left out: 6 of 200 rows of ${source}: 6 × messages: the user's message is missing (${source}, row 1; ${source}, row 2; ${source}, row 3; …)`;
  expect(formatPlan(await planTraining(recipe))).toContain(`194 demonstrations; ${leftOut}`);
  expect(await noticesOf(recipe, join(folder, 'sft'))).toContain(leftOut);
  expect(toolOfModel(final)).toEqual(toolPresets.paper);
});

test('of twenty per cent the dataset is refused, with what is wrong; at 0, of one row', async () => {
  const refused = train(sft(dialogues(40)), { runDir: join(folder, 'refused') });
  await expect(refused).rejects.toThrow(
    /^40 of 200 rows of .* cannot be used, more than the 5 % that data.maxSkipped allows: 40 × messages: the user/,
  );
  await expect(refused).rejects.toBeInstanceOf(UserError);
  await expect(planTraining(sft(dialogues(40)))).rejects.toThrow(UserError);
  const strict = planTraining(sft(dialogues(1), { maxSkipped: 0 }));
  await expect(strict).rejects.toThrow(/, row 1: messages: the user's message is missing$/);
});

test('rows that are no JSON are left out like others, each reason by itself', async () => {
  const source = join(folder, 'lines.jsonl');
  const good = Array.from({ length: 50 }, (_, i) => JSON.stringify({ prompt: `Problem ${i}`, answer: i }));
  writeFileSync(source, ['{"prompt": "How', ...good, '{"prompt": "", "answer": 3}', '[]'].join('\n'));
  const recipe = parseRecipe({ method: 'grpo', model: final, dataset: source, data: { maxSkipped: 0.1 } });
  const { data } = await planTraining(recipe);
  expect(data[0]).toBe('50 problems');
  expect(data[1]).toMatch(
    /^left out: 3 of 53 rows of .*: 1 × not valid JSON.*line 1\); 1 × prompt: is empty .*line 52/,
  );
  const short = parseRecipe({ ...recipe, rollout: { maxPromptTokens: 10 } });
  expect((await planTraining(short)).data[2]).toMatch(/^left out: 50 prompts of more than 10 tokens/);
});

test('datasets are mixed by their weights, and each is measured by itself', async () => {
  const datasets = [dialogues(6), dialogues(1)].map((source, i) => ({ source, weight: i === 0 ? 3 : 1 }));
  const training = { demonstrations: 8, epochs: 1, batchSize: 8 };
  const recipe = parseRecipe({ method: 'sft', datasets, model: final, training });
  const { metrics } = await train(recipe, { runDir: join(folder, 'mixed') });
  const sources = metrics[0].sources as Record<string, { demonstrations: number; loss: number }>;
  expect(Object.entries(sources).map(([name, { demonstrations }]) => [name, demonstrations])).toEqual([
    ['dialogues-1.parquet', 2],
    ['dialogues-6.parquet', 6],
  ]);
  expect(sources['dialogues-1.parquet'].loss).toBeCloseTo(metrics[0].loss as number, 4);
});

test('problems of every layout are trained on; groups that teach nothing are refilled, also when a run goes on', async () => {
  const recipe = parseRecipe({
    method: 'grpo',
    model: final,
    datasets: [{ source: writeProblems() }, { source: writeProblems() }],
    rollout: { groupSize: 2, maxResponseTokens: 8, refill: 2 },
    reward: { shaping: 'off', overlongBuffer: 0 },
    training: { iterations: 2, promptsPerIteration: 2 * problems.length, promptsPerUpdate: problems.length },
  });
  const stop = new AbortController();
  const runDir = join(folder, 'grpo');
  await train(recipe, { runDir, signal: stop.signal, onProgress: ({ kind }) => kind === 'iteration' && stop.abort() });
  const { metrics } = await train(recipe, { runDir, resume: true });
  expect(metrics).toMatchObject([
    {
      accuracy: 0,
      sources: { 'rl.parquet': { accuracy: 0 }, 'rl.parquet (2)': { reward: expect.any(Number) } },
      refill: { batches: 2, equalShare: 1, untilNow: 2 },
    },
    { refill: { batches: 2, untilNow: 4 } },
  ]);
});
