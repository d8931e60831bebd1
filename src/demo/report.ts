import { join } from 'node:path';
import type { Evaluation, EvaluationSettings } from '../eval/evaluate.ts';
import type { RolloutDiagnostics } from '../methods/diagnostics.ts';
import { chartsTogether, type DrawnRun, metricChart, patternChart, stepCharts } from '../report/charts.ts';
import { duration, percent, percentText } from '../report/numbers.ts';
import { chartSection, type Report, type ReportSection, type ResultTable } from '../report/report.ts';
import { newestTrajectory, readMetrics } from '../train/runDirectory.ts';
import type { KeptTrajectory, TrajectoryEntry } from '../train/trajectoryFile.ts';

/** The models of the demo, in the order of its table. */
const labels = {
  teacher: 'Teacher (GRPO)',
  vanilla: 'Student, untrained',
  sft: 'Student, SFT',
  opd: 'Student, OPD',
  sod: 'Student, SOD',
};
export type Compared = keyof typeof labels;
export const compared = Object.keys(labels) as Compared[];

export interface DemoResults {
  evaluations: Record<Compared, Evaluation>;
  /** Its seed is the demo's. */
  settings: EvaluationSettings;
  smoke: boolean;
  /** Wall time of the demo. */
  seconds: number;
}

/** What `report.json` holds: averages in percent, by model. */
export function reportJson({ evaluations, settings, smoke, seconds }: DemoResults) {
  const models = Object.entries(evaluations).map(([name, { average, standardError, passAtK, majorityAtK }]) => [
    name,
    {
      average: percent(average),
      standardError: percent(standardError),
      passAtK: percent(passAtK),
      majorityAtK: percent(majorityAtK),
    },
  ]);
  return { ...Object.fromEntries(models), smoke, evaluation: settings, seconds: Math.round(seconds) };
}

/** The comparison as a table for the terminal. */
export function formatComparison({ evaluations, settings: { k, tasks }, smoke, seconds }: DemoResults): string {
  const header = ['', `average@${k}`, '±', `pass@${k}`, `maj@${k}`, 'tool success'];
  const rows = compared.map(name => {
    const { average, standardError, passAtK, majorityAtK, diagnostics } = evaluations[name];
    const numbers = [average, standardError, passAtK, majorityAtK].map(fraction => percentText(fraction, 2));
    return [labels[name], ...numbers, toolSuccess(diagnostics)];
  });
  const lines = [header, ...rows].map(
    ([label, ...cells]) => label.padEnd(20) + cells.map(c => c.padStart(14)).join(''),
  );
  const note = smoke ? 'A smoke run: far too little training to mean anything.' : `${tasks} held-out tasks, in percent`;
  return [...lines, '', `${note}; ${duration(seconds)} in all`].join('\n');
}

/** The demo with its curves; `out` is its folder, whose runs it reads. */
export function demoReport(results: DemoResults, out: string): Report {
  const { evaluations, settings, smoke, seconds } = results;
  const run = (stage: string, name: string, color: string): DrawnRun => ({
    name,
    color,
    seeds: [readMetrics(join(out, stage))],
  });
  const [opd, sod] = [run('student-opd', 'OPD', 'opd'), run('student-sod', 'SOD', 'sod')];
  const imitated = [run('teacher-sft', 'teacher', 'teacher'), run('student-sft', 'student', 'sft')];
  const reinforced = [run('teacher-grpo', 'teacher', 'teacher')];
  const average = (name: Compared) => `${percentText(evaluations[name].average, 1)} %`;
  return {
    title: 'Step-wise on-policy distillation: demo',
    headline: `SOD student: ${average('sod')}; OPD: ${average('opd')}; teacher: ${average('teacher')}`,
    about:
      'A teacher learned to use tools in a small shop by imitation and reinforcement. A smaller student imitated a little, then ' +
      "learned from its own attempts under the teacher's eye: once by on-policy distillation with every step counted the same " +
      '(OPD), once by step-wise on-policy distillation (SOD), which counts a step less the further the student has drifted from ' +
      'the teacher. Start, optimizer, batches and tasks of the two are the same.',
    settings:
      `average@${settings.k} over ${settings.tasks} held-out tasks, temperature ${settings.temperature}, top-p ${settings.topP}; ` +
      `seed ${settings.seed}; ${duration(seconds)} in all.`,
    warning: smoke ? 'A smoke run: far too little training to mean anything.' : undefined,
    table: table(results),
    sections: [
      ...chartSection(
        'Distillation',
        'Both students learn from the same prompts; only the weight of each step differs.',
        chartsTogether([opd, sod]),
      ),
      ...chartSection(
        'Steps',
        'How far student and teacher are apart in each step of a trajectory (d), and what that makes the step count (w). The bands ' +
          "hold the middle 80 % of the last quarter's trajectories.",
        [...stepCharts(sod), patternChart(sod)],
      ),
      ...trajectory(join(out, 'student-sod')),
      ...chartSection('Before distillation', undefined, [
        metricChart({ title: 'SFT loss', metric: 'loss', note: 'nats a token' }, imitated),
        metricChart({ title: "Teacher's right answers in GRPO", metric: 'accuracy', inPercent: true }, reinforced),
      ]),
    ],
  };
}

function table({ evaluations, settings: { k } }: DemoResults): ResultTable {
  const students = compared.filter(name => name !== 'teacher');
  const best = students.toSorted((a, b) => evaluations[b].average - evaluations[a].average)[0];
  return {
    head: ['Model', `average@${k}, %`, `pass@${k}, %`, `maj@${k}, %`, 'tool success, %', 'tool calls', 'tokens'],
    rows: compared.map(name => {
      const { average, standardError, passAtK, majorityAtK, diagnostics } = evaluations[name];
      const cells = [
        `${percentText(average, 1)} ± ${percentText(standardError, 1)}`,
        percentText(passAtK, 1),
        percentText(majorityAtK, 1),
        toolSuccess(diagnostics),
        diagnostics.toolTurns.toFixed(1),
        diagnostics.responseTokens.toFixed(0),
      ];
      const bar = { color: name, average: 100 * average, error: 100 * standardError };
      return { name: labels[name], ...bar, cells, isBest: name === best };
    }),
    note: '± is the standard error over tasks. The best student is set in bold.',
  };
}

/** The newest trajectory that drifted, met an error, came back and answered rightly; else the nearest there is to it. */
function recovered(run: string): KeptTrajectory | undefined {
  const wishes: ((entry: TrajectoryEntry) => boolean)[] = [
    ({ pattern, correct, errors }) => pattern === 'recovery' && correct && errors > 0,
    ({ pattern, correct }) => pattern === 'recovery' && correct,
    ({ pattern }) => pattern === 'recovery',
    () => true,
  ];
  for (const wish of wishes) {
    const found = newestTrajectory(run, wish);
    if (found) return found;
  }
  return undefined;
}

function trajectory(run: string): ReportSection[] {
  const sample = recovered(run);
  if (!sample) return [];
  const title = sample.pattern === 'recovery' ? 'A trajectory that recovers' : 'A trajectory';
  const text =
    "From the SOD student's training: what it said, what the tools answered, how far it was from the teacher (d) and what the step counted (w).";
  return [{ title, text, trajectories: [sample] }];
}

/** In percent; a model that calls no tool has none. */
function toolSuccess({ toolSuccessRate, toolTurns }: RolloutDiagnostics): string {
  return toolTurns === 0 ? '–' : percentText(toolSuccessRate, 1);
}
