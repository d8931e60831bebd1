import type { EvaluationMetrics } from './evaluationMetrics.ts';
import type { PhaseProgress } from './learner.ts';
import type { Metrics } from './runDirectory.ts';

/** What a run tells while it goes on. */
export type TrainEvent =
  | ({ kind: 'phase'; iteration: number; iterations: number } & PhaseProgress)
  | { kind: 'iteration'; iterations: number; metrics: Metrics }
  /** The policy was measured after so many iterations; `isBest`: its model is kept as the best so far. */
  | { kind: 'evaluation'; iteration: number; iterations: number; evaluation: EvaluationMetrics; isBest: boolean }
  | { kind: 'download'; file: string; doneBytes: number; totalBytes: number }
  /** What the engine chose for a model: precision, threads, memory; what was taken from the cache; what is under way first. */
  | { kind: 'notice'; notice: string };
