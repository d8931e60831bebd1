/** Which charts a run has, from the lines of its metrics. */
import { aroundErrorLines, metricLine, patternLines, stepLines } from '../../report/curves.ts';
import { asPercent } from '../../report/numbers.ts';
import { spareColors } from '../../report/palette.ts';
import type { Metrics } from '../../train/runDirectory.ts';
import type { Worker, WorkerTime } from '../../train/timeline.ts';
import type { ChartProps, Line } from './drawing.ts';

/** A run as it is drawn. */
export interface DrawnRun {
  id: string;
  name: string;
  color: string;
  lines: Metrics[];
}

export type ChartContent = Pick<ChartProps, 'title' | 'note' | 'xLabel' | 'lines' | 'format' | 'stacked'>;

/** What is drawn of all runs together: title, the metric's name in `metrics.jsonl`, and what the title leaves open. */
const together: { title: string; metric: string; note?: string; format?: (y: number) => string }[] = [
  { title: 'Reward', metric: 'reward', note: 'mean of the iteration' },
  { title: 'Reverse KL to the teacher', metric: 'reverseKl', note: 'nats a token' },
  { title: 'Entropy of the policy', metric: 'entropy', note: 'nats a token' },
  { title: 'Response length', metric: 'responseTokens', note: 'tokens, observations among them' },
  { title: 'Tool calls a trajectory', metric: 'toolTurns' },
  { title: 'Tool calls without an error', metric: 'toolSuccessRate', format: asPercent },
  { title: 'Loss', metric: 'loss' },
  { title: 'Gradient norm', metric: 'gradNorm', note: 'before clipping' },
];

export function chartsTogether(runs: readonly DrawnRun[]): ChartContent[] {
  const lines = (metric: string) => runs.map(({ name, color, lines }) => metricLine(name, color, [lines], metric));
  return [
    {
      title: 'Right answers',
      note: 'while training; dashed: in evaluations',
      xLabel: 'updates',
      lines: accuracies(runs),
      format: asPercent,
    },
    ...together.map(({ metric, ...chart }) => ({ ...chart, xLabel: 'updates', lines: lines(metric) })),
    { title: 'Tokens a second', note: 'over the whole of an iteration', xLabel: 'updates', lines: runs.map(speedLine) },
  ];
}

/** What is drawn of each run by itself. */
export function chartsOf({ lines }: DrawnRun): ChartContent[] {
  return [
    {
      title: 'Patterns of trajectories',
      note: 'stable: weights stay near 1; erroneous: they fall and stay; recovery: they fall and return',
      xLabel: 'updates',
      lines: patternLines([lines]),
      format: asPercent,
    },
    {
      title: 'Divergence d by step',
      note: 'band: the middle 80 %',
      xLabel: 'step',
      lines: stepLines('divergenceByStep', [lines]),
    },
    {
      title: 'Weight w by step',
      note: 'band: the middle 80 %',
      xLabel: 'step',
      lines: stepLines('weightByStep', [lines]),
    },
    {
      title: 'Divergence d around tool errors',
      note: "of steps up to a trajectory's first error, after it, and where none was",
      xLabel: 'updates',
      lines: aroundErrorLines([lines], 'divergence'),
    },
    {
      title: 'Entropy of the teacher around tool errors',
      note: 'nats a token',
      xLabel: 'updates',
      lines: aroundErrorLines([lines], 'teacherEntropy'),
    },
    {
      title: 'Where the time went',
      note: 'seconds an iteration',
      xLabel: 'updates',
      lines: phaseLines(lines),
      stacked: true,
    },
    {
      title: 'Who worked',
      note: 'share of an iteration in which something was asked of each',
      xLabel: 'updates',
      lines: workerLines(lines),
      format: asPercent,
    },
  ];
}

function accuracies(runs: readonly DrawnRun[]): Line[] {
  return runs.flatMap(({ name, color, lines }) => [
    metricLine(name, color, [lines], 'accuracy'),
    { ...metricLine(`${name}, evaluated`, color, [lines], 'evaluation.average'), dots: true },
  ]);
}

function speedLine({ name, color, lines }: DrawnRun): Line {
  const points = lines.flatMap(line => {
    const tokens = line.rolloutTokens ?? line.tokens;
    const seconds = Object.values(secondsOf(line)).reduce((sum, each) => sum + each, 0);
    return typeof tokens === 'number' && seconds > 0 ? [{ x: line.update, y: tokens / seconds }] : [];
  });
  return { name, color, points };
}

function phaseLines(lines: readonly Metrics[]): Line[] {
  const phases = [...new Set(lines.flatMap(line => Object.keys(secondsOf(line))))];
  return phases.map((phase, i) => ({
    name: phase,
    color: spareColors[i % spareColors.length],
    points: lines.flatMap(line => (line.seconds ? [{ x: line.update, y: secondsOf(line)[phase] ?? 0 }] : [])),
  }));
}

function workerLines(lines: readonly Metrics[]): Line[] {
  const workers: [Worker, string][] = [
    ['policy', 'opd'],
    ['teacher', 'teacher'],
    ['trainer', 'sod'],
  ];
  return workers.map(([name, color]) => ({
    name,
    color,
    points: lines.flatMap(line => {
      const time = (line.seconds as Seconds | undefined)?.engines?.[name];
      return time ? [{ x: line.update, y: time.busy / (time.busy + time.waiting || 1) }] : [];
    }),
  }));
}

type Seconds = Record<string, number> & { engines?: Record<Worker, WorkerTime> };

/** Of the phases that add up to an iteration. */
function secondsOf({ seconds }: Metrics): Record<string, number> {
  const { engines: _, ...phases } = (seconds ?? {}) as Seconds;
  return phases;
}
