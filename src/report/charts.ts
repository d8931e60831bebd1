/** Which charts runs have, from the lines of their metrics: in reports, and in `sod watch`. */
import type { Metrics } from '../train/runDirectory.ts';
import type { Worker, WorkerTime } from '../train/timeline.ts';
import { aroundErrorLines, type Line, metricLine, patternLines, stepLines, teacherLines } from './curves.ts';
import { spareColors } from './palette.ts';

/** A run as it is drawn, or several seeds of one. */
export interface DrawnRun {
  name: string;
  color: string;
  /** The lines of `metrics.jsonl` of each. */
  seeds: readonly Metrics[][];
}

/** A chart, whoever draws it. */
export interface ChartContent {
  title: string;
  /** What the title leaves open. */
  note?: string;
  xLabel: 'updates' | 'step';
  lines: Line[];
  /** Its values are fractions. */
  inPercent?: boolean;
  /** Each line lies on those before it. */
  stacked?: boolean;
}

type MetricChart = Pick<ChartContent, 'title' | 'note' | 'inPercent'> & { metric: string };

const together: MetricChart[] = [
  { title: 'Reward', metric: 'reward', note: 'mean of the iteration' },
  { title: 'Reverse KL to the teacher', metric: 'reverseKl', note: 'nats a token' },
  { title: 'Entropy of the policy', metric: 'entropy', note: 'nats a token' },
  { title: 'Response length', metric: 'responseTokens', note: 'tokens, observations among them' },
  { title: 'Tool calls a trajectory', metric: 'toolTurns' },
  { title: 'Tool calls without an error', metric: 'toolSuccessRate', inPercent: true },
  { title: 'Loss', metric: 'loss' },
  { title: 'Gradient norm', metric: 'gradNorm', note: 'before clipping' },
];

/** What is drawn of all runs together. */
export function chartsTogether(runs: readonly DrawnRun[]): ChartContent[] {
  const answers: ChartContent = {
    title: 'Right answers',
    note: 'while training; dashed: in evaluations',
    xLabel: 'updates',
    lines: runs.flatMap(({ name, color, seeds }) => [
      metricLine(name, color, seeds, 'accuracy'),
      { ...metricLine(`${name}, evaluated`, color, seeds, 'evaluation.average'), dots: true },
    ]),
    inPercent: true,
  };
  return [answers, ...together.map(chart => metricChart(chart, runs))];
}

/** One metric of all runs, by its name in `metrics.jsonl`. */
export function metricChart({ metric, ...chart }: MetricChart, runs: readonly DrawnRun[]): ChartContent {
  const lines = runs.map(({ name, color, seeds }) => metricLine(name, color, seeds, metric));
  return { ...chart, xLabel: 'updates', lines };
}

/** How far a run is from each of its teachers, where it has several. */
export function teacherChart({ seeds }: DrawnRun): ChartContent {
  return {
    title: 'Reverse KL to each teacher',
    note: 'nats a token, in its own tasks',
    xLabel: 'updates',
    lines: teacherLines(seeds),
  };
}

/** How the trajectories of a run split. */
export function patternChart({ seeds }: DrawnRun): ChartContent {
  return {
    title: 'Patterns of trajectories',
    note: 'stable: weights stay near 1; erroneous: they fall and stay; recovery: they fall and return',
    xLabel: 'updates',
    lines: patternLines(seeds),
    inPercent: true,
  };
}

/** How far student and teacher are apart in each step of a trajectory, and what it counts. */
export function stepCharts({ seeds }: DrawnRun): ChartContent[] {
  return (['divergenceByStep', 'weightByStep'] as const).map(key => ({
    title: key === 'divergenceByStep' ? 'Divergence d by step' : 'Weight w by step',
    note: 'band: the middle 80 %',
    xLabel: 'step',
    lines: stepLines(key, seeds),
  }));
}

/** How far the student is from the teacher, and how sure the teacher is, before and after a tool error. */
export function errorCharts({ seeds }: DrawnRun): ChartContent[] {
  return [
    {
      title: 'Divergence d around tool errors',
      note: "of steps up to a trajectory's first error, after it, and where none was",
      xLabel: 'updates',
      lines: aroundErrorLines(seeds, 'divergence'),
    },
    {
      title: 'Entropy of the teacher around tool errors',
      note: 'nats a token',
      xLabel: 'updates',
      lines: aroundErrorLines(seeds, 'teacherEntropy'),
    },
  ];
}

/** How fast runs are. What a clock tells is in no report: a run that was stopped goes on to the same one. */
export function speedChart(runs: readonly DrawnRun[]): ChartContent {
  return {
    title: 'Tokens a second',
    note: 'over the whole of an iteration',
    xLabel: 'updates',
    lines: runs.map(({ name, color, seeds }) => ({ name, color, points: seeds.flatMap(speeds) })),
  };
}

/** Where the time of a run went. */
export function timeCharts({ seeds }: DrawnRun): ChartContent[] {
  const lines = seeds.flat();
  return [
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
      inPercent: true,
    },
  ];
}

function speeds(lines: readonly Metrics[]): Line['points'] {
  return lines.flatMap(line => {
    const tokens = line.rolloutTokens ?? line.tokens;
    const seconds = Object.values(secondsOf(line)).reduce((sum, each) => sum + each, 0);
    return typeof tokens === 'number' && seconds > 0 ? [{ x: line.update, y: tokens / seconds }] : [];
  });
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
