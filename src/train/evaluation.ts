/** Measuring the policy while it is trained: the figures that `sod eval` would give of a checkpoint with the same weights. */
import { basename, join } from 'node:path';
import type { DownloadControl } from '../data/dataset.ts';
import { parseBenchmarks } from '../eval/benchmarks.ts';
import { evaluate } from '../eval/evaluate.ts';
import { benchmarkEvaluation, type KeptEvaluation, worldEvaluation } from '../eval/keptEvaluations.ts';
import { closeProblemSets, measure, openProblemSets, refuseTooManySamples } from '../eval/problemSets.ts';
import { type Policy, refuseTooMany } from '../eval/sampling.ts';
import type { World } from '../worlds/world.ts';
import type { EvaluateSettings } from './evaluateSchema.ts';
import type { Recipe } from './recipe.ts';

export interface MeasureControl {
  signal: AbortSignal;
  /** Trajectories so far, and in all. */
  onProgress: (done: number, total: number) => void;
}

/** Ready to measure a policy as often as wanted. */
export interface OpenEvaluation {
  /**
   * @param folder for the samples of benchmarks, which are not made again there; its name tells these weights from others
   * @throws AbortError when the signal fires.
   */
  measure(policy: Policy, folder: string, control: MeasureControl): Promise<KeptEvaluation[]>;
  close(): Promise<void>;
}

/**
 * What a recipe says of evaluations, with the problems read; undefined where it says nothing.
 * @param world that the run learns in, if it learns in one
 * @throws UserError if there are no such problems, or too many.
 */
export async function openEvaluation(
  recipe: Recipe,
  world: World | undefined,
  control: DownloadControl,
): Promise<OpenEvaluation | undefined> {
  const settings = recipe.evaluate;
  if (!settings) return undefined;
  return settings.tasks === undefined
    ? openBenchmarks(recipe, settings, control)
    : worldTasks(recipe, settings, settings.tasks, world!);
}

/** Seeds and limits of trajectories. */
function sampling(recipe: Recipe, settings: EvaluateSettings) {
  const { temperature, topP, seed, maxPromptTokens } = settings;
  const { maxTurns, maxResponseTokens } =
    'rollout' in recipe ? recipe.rollout : { maxTurns: 16, maxResponseTokens: 20_480 };
  return {
    temperature,
    topP,
    maxTurns: settings.maxTurns ?? maxTurns,
    maxPromptTokens,
    maxResponseTokens: settings.maxResponseTokens ?? maxResponseTokens,
    ...(recipe.thinking === 'on' && { thinking: true }),
    seed,
  };
}

function concurrencyOf(recipe: Recipe): number | undefined {
  return 'rollout' in recipe ? recipe.rollout.concurrency : undefined;
}

function worldTasks(recipe: Recipe, settings: EvaluateSettings, tasks: number, world: World): OpenEvaluation {
  refuseTooMany(tasks, settings.samples);
  const asked = { tasks, k: settings.samples, ...sampling(recipe, settings) };
  return {
    async measure({ sampler, chat }, _, control) {
      const evaluation = await evaluate(sampler, chat, world, asked, {
        ...control,
        concurrency: concurrencyOf(recipe),
      });
      return [worldEvaluation(recipe.world, asked, evaluation)];
    },
    close: async () => {},
  };
}

async function openBenchmarks(
  recipe: Recipe,
  settings: EvaluateSettings,
  control: DownloadControl,
): Promise<OpenEvaluation> {
  const { equivalence, testTimeoutMs } =
    'reward' in recipe ? recipe.reward : { equivalence: 'exact' as const, testTimeoutMs: 10_000 };
  const prompts = 'prompts' in recipe ? recipe.prompts : undefined;
  const asked = { samples: settings.samples, runs: 1, ...sampling(recipe, settings) };
  const sets = await openProblemSets(
    parseBenchmarks(settings.benchmark!),
    { equivalence, testTimeoutMs, prompts, tool: recipe.tool, mcp: recipe.mcp },
    control,
  );
  try {
    refuseTooManySamples(sets, asked);
  } catch (error) {
    await closeProblemSets(sets);
    throw error;
  }
  const total = sets.reduce((sum, { problems }) => sum + problems.world.size * asked.samples, 0);
  const grading = { equivalence, testTimeoutMs, ...(prompts && { ownPrompts: true }) };
  return {
    async measure(policy, folder, { signal, onProgress }) {
      const measured: KeptEvaluation[] = [];
      let before = 0;
      for (const set of sets) {
        const result = await measure(set, join(folder, set.benchmark.name), basename(folder), policy, asked, {
          signal,
          concurrency: concurrencyOf(recipe),
          onProgress: ({ done }) => onProgress(before + done, total),
        });
        measured.push(benchmarkEvaluation(result, asked, grading));
        before += set.problems.world.size * asked.samples;
      }
      return measured;
    },
    close: () => closeProblemSets(sets),
  };
}
