import { join } from 'node:path';
import type { Evaluation, EvaluationSettings } from '../eval/evaluate.ts';
import type { Distribution, RolloutDiagnostics } from '../methods/diagnostics.ts';
import { type Metrics, readMetrics, readTrajectories } from '../train/runDirectory.ts';
import type { SampledTrajectory } from '../train/sample.ts';
import { barChart, escapeHtml, lineChart, type Point, type Series } from './chart.ts';
import { type Compared, compared } from './pipeline.ts';
import { style } from './style.ts';

export interface DemoResults {
  evaluations: Record<Compared, Evaluation>;
  /** Its seed is the demo's. */
  settings: EvaluationSettings;
  smoke: boolean;
  /** Wall time of the demo. */
  seconds: number;
}

const labels: Record<Compared, string> = {
  teacher: 'Teacher (GRPO)',
  vanilla: 'Student, untrained',
  sft: 'Student, SFT',
  opd: 'Student, OPD',
  sod: 'Student, SOD',
};

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
  const rows = (Object.keys(compared) as Compared[]).map(name => {
    const { average, standardError, passAtK, majorityAtK, diagnostics } = evaluations[name];
    const numbers = [average, standardError, passAtK, majorityAtK].map(fraction => percent(fraction).toFixed(2));
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
  const metrics = (stage: string) => readMetrics(join(out, stage));
  const opd = metrics('student-opd');
  const sod = metrics('student-sod');
  const average = (name: Compared) => `${percent(evaluations[name].average).toFixed(1)} %`;
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
${curve('Correct answers while training', [line('OPD', 'opd', opd, 'accuracy'), line('SOD', 'sod', sod, 'accuracy')], asPercent)}
${curve('Reverse KL to the teacher, nats a token', [line('OPD', 'opd', opd, 'reverseKl'), line('SOD', 'sod', sod, 'reverseKl')])}
${curve('Tool calls without an error', [line('OPD', 'opd', opd, 'toolSuccessRate'), line('SOD', 'sod', sod, 'toolSuccessRate')], asPercent)}
${curve('Entropy of the policy, nats a token', [line('OPD', 'opd', opd, 'entropy'), line('SOD', 'sod', sod, 'entropy')])}
</div>
<h2>Steps</h2>
<p>How far student and teacher are apart in each step of a trajectory (d), and what that makes the step count (w).
The bands hold the middle 80 % of the last quarter's trajectories.</p>
<div class="grid">
${byStep('Divergence d by step', 'divergenceByStep', sod)}
${byStep('Weight w by step', 'weightByStep', sod)}
${curve('SOD trajectories by pattern', patterns(sod), asPercent)}
</div>
${trajectory(readTrajectories(join(out, 'student-sod')))}
<h2>Before distillation</h2>
<div class="grid">
${curve('SFT loss, nats a token', [line('teacher', 'teacher', metrics('teacher-sft'), 'loss'), line('student', 'sft', metrics('student-sft'), 'loss')])}
${curve("Teacher's correct answers in GRPO", [line('teacher', 'teacher', metrics('teacher-grpo'), 'accuracy')], asPercent)}
</div>
</main></body></html>
`;
}

function bars(evaluations: DemoResults['evaluations']) {
  return (Object.keys(compared) as Compared[]).map(name => {
    const { average, standardError } = evaluations[name];
    return { name: labels[name], color: name, value: 100 * average, error: 100 * standardError };
  });
}

function table({ evaluations, settings: { k } }: DemoResults): string {
  const students = (Object.keys(compared) as Compared[]).filter(name => name !== 'teacher');
  const best = students.toSorted((a, b) => evaluations[b].average - evaluations[a].average)[0];
  const rows = (Object.keys(compared) as Compared[]).map(name => {
    const { average, standardError, passAtK, majorityAtK, diagnostics } = evaluations[name];
    const cells = [
      labels[name],
      `${percent(average).toFixed(1)} ± ${percent(standardError).toFixed(1)}`,
      percent(passAtK).toFixed(1),
      percent(majorityAtK).toFixed(1),
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

function curve(title: string, series: Series[], format?: (y: number) => string): string {
  const smooth = Math.max(1, Math.round(Math.max(...series.map(({ points }) => points.length)) / 30));
  return lineChart({ title, xLabel: 'updates', series, format, smooth });
}

function line(name: string, color: string, metrics: Metrics[], key: string): Series {
  return { name, color, points: metrics.map(line => ({ x: line.update, y: line[key] as number })) };
}

function patterns(metrics: Metrics[]): Series[] {
  const colors = { stable: 'good', recovery: 'opd', erroneous: 'sod' };
  return Object.entries(colors).map(([pattern, color]) => ({
    name: pattern,
    color,
    points: metrics.map(line => ({ x: line.update, y: (line.patterns as Record<string, number>)[pattern] })),
  }));
}

/** One point a step index, in the first and the last quarter of the training. */
function byStep(title: string, key: 'divergenceByStep' | 'weightByStep', metrics: Metrics[]): string {
  const quarter = Math.max(1, Math.floor(metrics.length / 4));
  const points = (part: Metrics[]): Point[] => pool(part.map(line => line[key] as Distribution[]));
  const last = points(metrics.slice(-quarter));
  const first = points(metrics.slice(0, quarter)).map(({ x, y }) => ({ x, y }));
  const series = [
    { name: 'first quarter of the training', color: 'vanilla', points: first },
    { name: 'last quarter', color: 'sod', points: last },
  ];
  return lineChart({ title, xLabel: 'step', series, discrete: true });
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

/** The newest trajectory that drifted, met an error, came back and answered rightly; else the nearest there is to it. */
function recovered(samples: SampledTrajectory[]): SampledTrajectory | undefined {
  const wishes: ((sample: SampledTrajectory) => boolean)[] = [
    ({ pattern, correct, steps }) => pattern === 'recovery' && correct && steps.some(({ error }) => error),
    ({ pattern, correct }) => pattern === 'recovery' && correct,
    ({ pattern }) => pattern === 'recovery',
    () => true,
  ];
  for (const wish of wishes) {
    const found = samples.find(wish);
    if (found) return found;
  }
  return undefined;
}

function trajectory(samples: SampledTrajectory[]): string {
  const sample = recovered(samples);
  if (!sample) return '';
  const steps = sample.steps.map(
    ({ text, observation, error, divergence = 0, weight = 0 }, k) => `<li><div class="numbers">step ${k + 1}
<div class="weight" style="width:${Math.round((weight / 1.2) * 100)}%"></div>w ${weight.toFixed(2)}<br>d ${divergence.toFixed(3)}</div>
<div><pre>${escapeHtml(text.trim())}</pre>${
      observation === undefined
        ? ''
        : `<pre class="observation${error ? ' error' : ''}">${escapeHtml(observation.trim())}</pre>`
    }</div></li>`,
  );
  const what = sample.pattern === 'recovery' ? 'A trajectory that recovers' : 'A trajectory';
  return `<h2>${what}</h2>
<p>From the SOD student's training: what it said, what the tools answered, how far it was from the teacher (d) and what the step counted (w).
The answer was ${sample.correct ? 'right' : 'wrong'}.</p>
<div class="card"><pre class="observation">${escapeHtml(question(sample.prompt))}</pre><ol class="steps">${steps.join('')}</ol></div>`;
}

/** The last user message of a prompt in the ChatML format, or the whole prompt in another. */
function question(prompt: string): string {
  return prompt.split('<|im_start|>user\n').at(-1)!.split('<|im_end|>')[0].trim();
}

/** In percent; a model that calls no tool has none. */
function toolSuccess({ toolSuccessRate, toolTurns }: RolloutDiagnostics): string {
  return toolTurns === 0 ? '–' : percent(toolSuccessRate).toFixed(1);
}

function percent(fraction: number): number {
  return Math.round(fraction * 10_000) / 100;
}

function asPercent(fraction: number): string {
  return `${Math.round(fraction * 100)} %`;
}

function duration(seconds: number): string {
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
