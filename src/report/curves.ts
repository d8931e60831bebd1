/** Lines over the updates or the steps, from the metrics of training runs: one run, or the mean over several seeds of it. */
import type { Distribution } from '../methods/diagnostics.ts';
import type { Metrics } from '../train/runDirectory.ts';
import { spareColors } from './palette.ts';

export interface Line {
  name: string;
  /** Of the palette. */
  color: string;
  points: Point[];
  /** Every point is marked: for values that are far apart. */
  dots?: boolean;
}

export interface Point {
  x: number;
  y: number;
  /** A band around the line, such as the 10th and 90th percentile. */
  low?: number;
  high?: number;
}

/**
 * One metric over the updates: the mean of the runs, within a band of their standard deviation.
 * @param path the metric's name in `metrics.jsonl`, with dots between the levels
 */
export function metricLine(name: string, color: string, runs: readonly Metrics[][], path: string): Line {
  const value = (line: Metrics) =>
    path.split('.').reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], line);
  return { name, color, points: meanOver(runs, value) };
}

/** How far the policy is from each of several teachers, in the tasks that are that one's. */
export function teacherLines(runs: readonly Metrics[][]): Line[] {
  const of = (line: Metrics) => (line.teachers ?? {}) as Record<string, { reverseKl?: number }>;
  const names = new Set(runs.flat().flatMap(line => Object.keys(of(line))));
  return [...names].map((name, i) => ({
    name,
    color: spareColors[i % spareColors.length],
    points: meanOver(runs, line => of(line)[name]?.reverseKl),
  }));
}

/** How the trajectories split into the three patterns. */
export function patternLines(runs: readonly Metrics[][]): Line[] {
  const colors = { stable: 'good', recovery: 'opd', erroneous: 'sod' };
  return Object.entries(colors).map(([pattern, color]) => metricLine(pattern, color, runs, `patterns.${pattern}`));
}

/** A metric of steps by where they stand to the first tool error of their trajectory. */
export function aroundErrorLines(runs: readonly Metrics[][], metric: 'divergence' | 'teacherEntropy'): Line[] {
  const places = [
    ['no error', 'good', 'untouched'],
    ['up to the error', 'opd', 'before'],
    ['after it', 'sod', 'after'],
  ];
  return places.map(([name, color, place]) => metricLine(name, color, runs, `aroundError.${place}.${metric}`));
}

type StepMetric = 'divergenceByStep' | 'weightByStep';

/** One point a step index, in the first and the last quarter of the training; the band holds the middle 80 % of the last. */
export function stepLines(key: StepMetric, runs: readonly Metrics[][]): Line[] {
  const quarter = Math.max(1, Math.floor((runs[0]?.length ?? 0) / 4));
  const points = (part: (run: Metrics[]) => Metrics[]): Point[] =>
    pool(runs.flatMap(run => part(run).map(line => (line[key] as Distribution[] | undefined) ?? [])));
  const first = points(run => run.slice(0, quarter)).map(({ x, y }) => ({ x, y }));
  const last = points(run => run.slice(-quarter));
  return [
    { name: 'first quarter of the training', color: 'vanilla', points: first },
    { name: 'last quarter', color: 'sod', points: last },
  ];
}

/** Only of numbers: JSON has null for those that are none. */
function meanOver(runs: readonly Metrics[][], value: (line: Metrics) => unknown): Point[] {
  const byUpdate = new Map<number, number[]>();
  for (const line of runs.flat()) {
    const y = value(line);
    if (typeof y === 'number') byUpdate.set(line.update, [...(byUpdate.get(line.update) ?? []), y]);
  }
  return [...byUpdate]
    .sort(([a], [b]) => a - b)
    .map(([x, values]) => {
      const y = values.reduce((sum, v) => sum + v, 0) / values.length;
      if (values.length < 2) return { x, y };
      const deviation = Math.sqrt(values.reduce((sum, v) => sum + (v - y) ** 2, 0) / (values.length - 1));
      return { x, y, low: y - deviation, high: y + deviation };
    });
}

/** Distributions by step index over several iterations, each weighted by its number of trajectories. */
function pool(iterations: Distribution[][]): Point[] {
  const longest = Math.max(0, ...iterations.map(steps => steps.length));
  return Array.from({ length: longest }, (_, k) => {
    const found = iterations.filter(steps => steps.length > k).map(steps => steps[k]);
    const total = found.reduce((sum, { count }) => sum + count, 0);
    const weighted = (key: 'mean' | 'p10' | 'p90') => found.reduce((sum, d) => sum + d[key] * d.count, 0) / total;
    return { x: k + 1, y: weighted('mean'), low: weighted('p10'), high: weighted('p90') };
  });
}
