import { join } from 'node:path';
import type { Evaluation, EvaluationSettings } from '../eval/evaluate.ts';
import type { RolloutDiagnostics } from '../methods/diagnostics.ts';
import { barChart } from '../report/chart.ts';
import { byStep, curve, metricLine, patternLines } from '../report/curves.ts';
import { asPercent, duration, percent, percentText } from '../report/numbers.ts';
import { style } from '../report/style.ts';
import { tokenLegend, trajectoryHtml } from '../report/trajectory.ts';
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

/** The demo as one self-contained page; `out` is the demo's folder, whose runs it reads. */
export function reportHtml(results: DemoResults, out: string): string {
  const { evaluations, settings, smoke, seconds } = results;
  const metrics = (stage: string) => [readMetrics(join(out, stage))];
  const opd = metrics('student-opd');
  const sod = metrics('student-sod');
  const average = (name: Compared) => `${percentText(evaluations[name].average, 1)} %`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Step-wise on-policy distillation: demo</title><style>${style}</style></head><body><main>
<h1>SOD student: ${average('sod')}; OPD: ${average('opd')}; teacher: ${average('teacher')}</h1>
<p>A teacher learned to use tools in a small shop by imitation and reinforcement. A smaller student imitated a little, then
learned from its own attempts under the teacher's eye: once by on-policy distillation with every step counted the same (OPD),
once by step-wise on-policy distillation (SOD), which counts a step less the further the student has drifted from the teacher.
Start, optimizer, batches and tasks of the two are the same.</p>
<p class="soft">average@${settings.k} over ${settings.tasks} held-out tasks, temperature ${settings.temperature}, top-p ${settings.topP};
seed ${settings.seed}; ${duration(seconds)} in all.${smoke ? ' <strong>A smoke run: far too little training to mean anything.</strong>' : ''}</p>
<h2>Comparison</h2>
<div class="card">${barChart(bars(evaluations))}${table(results)}</div>
<h2>Distillation</h2>
<p>Both students learn from the same prompts; only the weight of each step differs.</p>
<div class="grid">
${curve('Correct answers while training', [metricLine('OPD', 'opd', opd, 'accuracy'), metricLine('SOD', 'sod', sod, 'accuracy')], asPercent)}
${curve('Correct answers in evaluations', [metricLine('OPD', 'opd', opd, 'evaluation.average'), metricLine('SOD', 'sod', sod, 'evaluation.average')], asPercent)}
${curve('Reverse KL to the teacher, nats a token', [metricLine('OPD', 'opd', opd, 'reverseKl'), metricLine('SOD', 'sod', sod, 'reverseKl')])}
${curve('Tool calls without an error', [metricLine('OPD', 'opd', opd, 'toolSuccessRate'), metricLine('SOD', 'sod', sod, 'toolSuccessRate')], asPercent)}
${curve('Entropy of the policy, nats a token', [metricLine('OPD', 'opd', opd, 'entropy'), metricLine('SOD', 'sod', sod, 'entropy')])}
</div>
<h2>Steps</h2>
<p>How far student and teacher are apart in each step of a trajectory (d), and what that makes the step count (w).
The bands hold the middle 80 % of the last quarter's trajectories.</p>
<div class="grid">
${byStep('Divergence d by step', 'divergenceByStep', sod)}
${byStep('Weight w by step', 'weightByStep', sod)}
${curve('SOD trajectories by pattern', patternLines(sod), asPercent)}
</div>
${trajectory(join(out, 'student-sod'))}
<h2>Before distillation</h2>
<div class="grid">
${curve('SFT loss, nats a token', [metricLine('teacher', 'teacher', metrics('teacher-sft'), 'loss'), metricLine('student', 'sft', metrics('student-sft'), 'loss')])}
${curve("Teacher's correct answers in GRPO", [metricLine('teacher', 'teacher', metrics('teacher-grpo'), 'accuracy')], asPercent)}
</div>
</main></body></html>
`;
}

function bars(evaluations: DemoResults['evaluations']) {
  return compared.map(name => {
    const { average, standardError } = evaluations[name];
    return { name: labels[name], color: name, value: 100 * average, error: 100 * standardError };
  });
}

function table({ evaluations, settings: { k } }: DemoResults): string {
  const students = compared.filter(name => name !== 'teacher');
  const best = students.toSorted((a, b) => evaluations[b].average - evaluations[a].average)[0];
  const rows = compared.map(name => {
    const { average, standardError, passAtK, majorityAtK, diagnostics } = evaluations[name];
    const cells = [
      labels[name],
      `${percentText(average, 1)} ± ${percentText(standardError, 1)}`,
      percentText(passAtK, 1),
      percentText(majorityAtK, 1),
      toolSuccess(diagnostics),
      diagnostics.toolTurns.toFixed(1),
      diagnostics.responseTokens.toFixed(0),
    ];
    return `<tr${name === best ? ' class="best"' : ''}>${cells.map(cell => `<td>${cell}</td>`).join('')}</tr>`;
  });
  const heads = ['Model', `average@${k}, %`, `pass@${k}, %`, `maj@${k}, %`, 'tool success, %', 'tool calls', 'tokens'];
  return `<table><thead><tr>${heads.map(head => `<th>${head}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>
<p class="soft">± is the standard error over tasks. The best student is set in bold.</p>`;
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

function trajectory(run: string): string {
  const sample = recovered(run);
  if (!sample) return '';
  const what = sample.pattern === 'recovery' ? 'A trajectory that recovers' : 'A trajectory';
  return `<h2>${what}</h2>
<p>From the SOD student's training: what it said, what the tools answered, how far it was from the teacher (d) and what the step counted (w).
The answer was ${sample.correct ? 'right' : 'wrong'}. ${tokenLegend}</p>
${trajectoryHtml(sample)}`;
}

/** In percent; a model that calls no tool has none. */
function toolSuccess({ toolSuccessRate, toolTurns }: RolloutDiagnostics): string {
  return toolTurns === 0 ? '–' : percentText(toolSuccessRate, 1);
}
