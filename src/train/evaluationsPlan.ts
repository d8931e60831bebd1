import { parseBenchmarks } from '../eval/benchmarks.ts';
import type { Recipe } from './recipe.ts';

/** How often a run measures its policy, and on what. */
export interface EvaluationsPlan {
  count: number;
  every: number;
  samples: number;
  /** Held-out tasks of a world, or the names of benchmarks. */
  tasks: { world: string; count: number } | string[];
}

/** @throws UserError where a benchmark is not known. */
export function planEvaluations({ evaluate, world }: Recipe, iterations: number): EvaluationsPlan | undefined {
  if (!evaluate) return undefined;
  const { every, samples, tasks, benchmark } = evaluate;
  return {
    count: Math.ceil(iterations / every) + 1,
    every,
    samples,
    tasks: tasks === undefined ? parseBenchmarks(benchmark!).map(({ name }) => name) : { world, count: tasks },
  };
}

export function formatEvaluations({ count, every, samples, tasks }: EvaluationsPlan): string {
  const on = Array.isArray(tasks) ? tasks.join(', ') : `${tasks.count} held-out tasks of ${tasks.world}`;
  return (
    `${count}: before the first iteration, every ${every} and after the last, on ${on}, ${samples} samples a task, ` +
    'not counted above; the best model is kept'
  );
}
