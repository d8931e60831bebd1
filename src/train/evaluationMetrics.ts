import type { KeptEvaluation } from '../eval/keptEvaluations.ts';
import { mean } from '../eval/metrics.ts';
import type { Metrics } from './runDirectory.ts';

/** In a line of `metrics.jsonl`; fractions in [0, 1]. */
export interface EvaluationMetrics {
  /** average@samples: the mean over the sets of tasks. */
  average: number;
  samples: number;
  /** By the name of the world or the benchmark. */
  sets: Record<string, Omit<KeptEvaluation, 'kind' | 'name' | 'title' | 'dataset' | 'settings'>>;
}

export function evaluationMetrics(measured: readonly KeptEvaluation[]): EvaluationMetrics {
  const sets = measured.map(({ kind: _, name, title: __, dataset: ___, settings: ____, ...figures }) => [
    name,
    figures,
  ]);
  return {
    average: mean(measured.map(({ average }) => average)),
    samples: measured[0].settings.samples,
    sets: Object.fromEntries(sets),
  };
}

/** What a line of `metrics.jsonl` says of an evaluation, if it was made there. */
export function evaluationOf(line: Metrics | undefined): EvaluationMetrics | undefined {
  return line?.evaluation as EvaluationMetrics | undefined;
}

/** The line of the best evaluation: of equal ones, the first. */
export function bestOf(history: readonly Metrics[]): Metrics | undefined {
  const averageOf = (line: Metrics) => evaluationOf(line)?.average ?? Number.NEGATIVE_INFINITY;
  return history.reduce<Metrics | undefined>((best, line) => {
    return averageOf(line) > (best ? averageOf(best) : Number.NEGATIVE_INFINITY) ? line : best;
  }, undefined);
}
