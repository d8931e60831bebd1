import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { collapsingEngine } from '../../bench/collapsingEngine.ts';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { evaluateCheckpoint } from '../../src/eval/evaluateCheckpoint.ts';
import { evaluationsOf } from '../../src/eval/keptEvaluations.ts';
import { evaluationOf } from '../../src/train/evaluationMetrics.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { readMetrics } from '../../src/train/runDirectory.ts';
import { type TrainResult, train } from '../../src/train/train.ts';
import { openWorld } from '../../src/worlds/open.ts';
import { smallModels } from '../madeOnce.ts';
import { shortAnswersRun } from './shortAnswers.ts';

const folder = mkdtempSync(join(tmpdir(), 'sod-watch-'));
const models = await smallModels();
const input = {
  ...shortAnswersRun(folder, models),
  training: { iterations: 16, promptsPerIteration: 4, promptsPerUpdate: 2 },
  evaluate: { every: 4, tasks: 8, samples: 4 },
  guard: { reverseKl: 2 },
};
let engine: LocalEngine;
beforeAll(async () => {
  engine = await LocalEngine.start({ threads: 1 });
});
afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true });
});

const goodIterations = 10;

async function trained(name: string, changes: object): Promise<TrainResult & { notices: string[] }> {
  const notices: string[] = [];
  const result = await train(parseRecipe({ ...input, ...changes }), {
    runDir: join(folder, name),
    engine: collapsingEngine(engine, 2 * goodIterations),
    onProgress: event => event.kind === 'notice' && notices.push(event.notice),
  });
  return { ...result, notices };
}

test('a run that collapses is named by its guard, and its best model is from before', async () => {
  const { finished, metrics, best, notices } = await trained('warned', {});
  expect(finished).toBe(true);
  expect(metrics.map(({ iteration }) => iteration)).toEqual(Array.from({ length: 17 }, (_, i) => i));
  const curve = metrics.flatMap(line => evaluationOf(line) ?? []);
  expect(curve).toHaveLength(5);
  expect(evaluationOf(best)!.average).toBe(Math.max(...curve.map(({ average }) => average)));
  expect(evaluationOf(best)!.average).toBeGreaterThan(0.5);
  expect(best!.iteration).toBeLessThanOrEqual(goodIterations);

  const warnings = notices.filter(notice => notice.startsWith('guard: '));
  expect(warnings[0]).toMatch(
    /^guard: in iterations \d+ to \d+, .*reverse KL is .*, above .*: the policy may be collapsing$/,
  );
  const named = metrics.find(({ outOfBand }) => outOfBand)!.iteration;
  expect(named).toBeGreaterThan(goodIterations);
  expect(named).toBeLessThanOrEqual(goodIterations + 5);

  // The best model is the one that was measured: what `sod eval` gives of it is what the curve says.
  const { world, close } = await openWorld(input.world);
  const path = join(folder, 'warned/best');
  const [kept] = (await evaluationsOf(path)).evaluations;
  const { samples: k, runs, ...sampling } = kept.settings;
  const again = await evaluateCheckpoint(engine, path, world, { tasks: kept.tasks, k, ...sampling });
  expect([kept.average, again.average]).toEqual(Array(2).fill(evaluationOf(best)!.average));
  await close();
});

test('a guard that stops leaves the last checkpoint from before the collapse', async () => {
  const changes = { guard: { action: 'stop', reverseKl: 2 }, save: { every: 1, keep: 1 }, evaluate: undefined };
  const { finished, stoppedBy, checkpoint } = await trained('stopped', changes);
  expect({ finished, stoppedBy }).toEqual({ finished: false, stoppedBy: expect.stringMatching(/^guard: /) });
  const lines = readMetrics(join(folder, 'stopped'));
  const { iteration } = JSON.parse(readFileSync(join(checkpoint, 'progress.json'), 'utf8'));
  expect(iteration).toBe(lines.at(-1)!.iteration - 3);
  expect(readdirSync(join(folder, 'stopped/checkpoints')).sort().at(-1)).toBe(checkpoint.slice(-6));
});

test('a run whose evaluation is stopped makes it when it is resumed', async () => {
  const few = { training: { ...input.training, iterations: 2 }, evaluate: { every: 1, tasks: 4, samples: 2 } };
  const recipe = parseRecipe({ ...input, ...few });
  const undisturbed = await train(recipe, { runDir: join(folder, 'undisturbed'), engine });
  const stop = async (resume: boolean, at: number) => {
    const controller = new AbortController();
    return train(recipe, {
      runDir: join(folder, 'interrupted'),
      resume,
      engine,
      signal: controller.signal,
      onProgress: event =>
        event.kind === 'phase' && event.phase === 'evaluation' && event.iteration === at && controller.abort(),
    });
  };
  expect((await stop(false, 1)).metrics.at(-1)).not.toHaveProperty('evaluation');
  const last = await stop(true, 2);
  expect(last).toMatchObject({ finished: false });
  expect(evaluationOf(last.metrics.at(-2))).toEqual(evaluationOf(undisturbed.metrics.at(-2)));
  const resumed = await train(recipe, { runDir: join(folder, 'interrupted'), resume: true, engine });
  const told = ({ metrics }: TrainResult) => metrics.map(({ seconds, ...rest }) => rest);
  expect(told(resumed)).toEqual(told(undisturbed));
  const lines = readFileSync(join(folder, 'interrupted/metrics.jsonl'), 'utf8').trim().split('\n');
  expect(lines.map(line => JSON.parse(line))).toEqual(resumed.metrics);
  const best = (run: string) => readFileSync(join(folder, run, 'best/model.safetensors'));
  expect(best('interrupted').equals(best('undisturbed'))).toBe(true);
});
