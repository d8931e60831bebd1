import type { Pattern } from '../methods/diagnostics.ts';
import { barChart, escapeHtml, type Series } from '../report/chart.ts';
import { aroundErrorLines, byStep, curve, metricLine, patternLines } from '../report/curves.ts';
import { asPercent, percentText } from '../report/numbers.ts';
import { colorOfMethod, hasColor, spareColors } from '../report/palette.ts';
import { style } from '../report/style.ts';
import { tokenLegend, trajectoryHtml } from '../report/trajectory.ts';
import { type Metrics, newestTrajectory, readMetrics } from '../train/runDirectory.ts';
import type { KeptTrajectory } from '../train/trajectoryFile.ts';
import type { Plan } from './plan.ts';
import { bestStudent, type Row, tableCells } from './table.ts';

/** A trained method with the metrics of its runs, one a seed. */
interface Trained {
  name: string;
  color: string;
  runs: Metrics[][];
}

/** What is drawn over the updates, by the metric's name in `metrics.jsonl`. */
const curves: [title: string, key: string, format?: (y: number) => string][] = [
  ['Correct answers while training', 'accuracy', asPercent],
  ['Correct answers in evaluations', 'evaluation.average', asPercent],
  ['Reverse KL to the teacher, nats a token', 'reverseKl'],
  ['Entropy of the policy, nats a token', 'entropy'],
  ['Response length, tokens', 'responseTokens'],
  ['Tool calls a trajectory', 'toolTurns'],
  ['Tool calls without an error', 'toolSuccessRate', asPercent],
];

/** How each pattern is introduced. */
const patternTitles: Record<Pattern, string> = {
  recovery: 'Drifted away and came back',
  erroneous: 'Drifted away and stayed there',
  stable: 'Never far from the start',
};

/** The comparison as one self-contained page, from the rows of its table and the runs of the plan's methods. */
export function reportHtml(rows: readonly Row[], plan: Plan, seeds: readonly number[], command: string): string {
  const trained = (ablation: boolean) => {
    const chosen = plan.methods.filter(method => method.ablation === ablation);
    return chosen.map(({ name }, i): Trained => ({ name, color: colorOf(name, i), runs: runsOf(plan, name, seeds) }));
  };
  const [methods, variants] = [trained(false), trained(true)];
  const whole = methods.find(({ name }) => name === 'sod');
  const ablations = variants.length && whole ? [whole, ...variants] : variants;
  const distilled = methods.filter(({ runs }) => runs.some(run => run.some(line => line.divergenceByStep)));
  const stepwise = distilled.filter(({ name }) => name === 'opd' || name === 'sod');
  const { tasks, k, temperature, topP } = plan.evaluation;
  const best = bestStudent(rows);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Comparison of methods</title><style>${style}</style></head><body><main>
<h1>${escapeHtml(headline(rows))}</h1>
<p>All methods start from the same checkpoint (sft) and learn from the same prompts with the same optimizer and batches, ${seeds.length}
${seeds.length === 1 ? 'seed' : 'seeds'} each; they differ in the advantage of each token, and in who the teacher is.</p>
<p class="soft">average@${k} over ${tasks} held-out tasks, temperature ${temperature}, top-p ${topP}, ± standard deviation over seeds
${escapeHtml(seeds.join(', '))}. Made by <code>${escapeHtml(command)}</code></p>
<div class="card">${barChart(bars(rows))}${table(rows, plan, best)}</div>
${section('Training', 'Mean over the seeds, within a band of one standard deviation. Reverse KL is measured to the teacher of each method.', curves.map(curveOf(methods)))}
${ablations.length > 1 ? section('Ablations', 'SOD with one thing changed.', curves.map(curveOf(ablations))) : ''}
${section(
  'Steps',
  'How far student and teacher are apart in each step of a trajectory (d), and what that makes the step count (w). The bands hold the middle 80 % of the last quarter of the training.',
  stepwise.flatMap(({ name, runs }) => [
    byStep(`${name}: divergence d by step`, 'divergenceByStep', runs),
    name === 'sod' ? byStep(`${name}: weight w by step`, 'weightByStep', runs) : '',
  ]),
)}
${section(
  'Tool errors',
  'How far the student is from the teacher, and how sure the teacher is, in steps up to the first tool call that failed, after it, and in trajectories where none did.',
  stepwise.flatMap(({ name, runs }) => [
    curve(`${name}: divergence d`, aroundErrorLines(runs, 'divergence')),
    curve(`${name}: entropy of the teacher, nats a token`, aroundErrorLines(runs, 'teacherEntropy')),
  ]),
)}
${section(
  'Patterns',
  "Stable: the step weights stay near 1; erroneous: they fall and stay low; recovery: they fall and return. By SOD's weights, whatever the method.",
  distilled.map(({ name, runs }) => curve(name, patternLines(runs), asPercent)),
)}
${trajectories(plan, seeds)}
</main></body></html>
`;
}

/** The best student, and what everyone looks for. */
function headline(rows: readonly Row[]): string {
  const names = new Set([bestStudent(rows), 'sod', 'opd', 'sft', 'teacher']);
  const shown = [...names].flatMap(name => rows.find(({ method }) => method === name) ?? []);
  return shown.map(({ method, average }) => `${method}: ${percentText(average, 1)} %`).join('; ');
}

function colorOf(name: string, index: number): string {
  return hasColor(name) ? name : spareColors[index % spareColors.length];
}

function runsOf(plan: Plan, name: string, seeds: readonly number[]): Metrics[][] {
  return seeds.map(seed => readMetrics(plan.runDir(name, seed)));
}

function bars(rows: readonly Row[]) {
  return rows.map(({ method, average, std = 0 }) => ({
    name: method,
    color: colorOfMethod(method),
    value: 100 * average,
    error: 100 * std,
  }));
}

function table(rows: readonly Row[], plan: Plan, best: string | undefined): string {
  const { head, body } = tableCells(rows, plan);
  const lines = body.map(
    cells => `<tr${cells[0] === best ? ' class="best"' : ''}>${cells.map(cell => `<td>${cell}</td>`).join('')}</tr>`,
  );
  return `<table><thead><tr>${head.map(cell => `<th>${cell}</th>`).join('')}</tr></thead><tbody>${lines.join('')}</tbody></table>
<p class="soft">In percent. The best student is set in bold.</p>`;
}

function curveOf(trained: readonly Trained[]) {
  return ([title, key, format]: (typeof curves)[number]): string => {
    const series: Series[] = trained.map(({ name, color, runs }) => metricLine(name, color, runs, key));
    return curve(title, series, format);
  };
}

function section(title: string, text: string, figures: readonly string[]): string {
  const shown = figures.filter(Boolean);
  return shown.length ? `<h2>${title}</h2><p>${text}</p><div class="grid">${shown.join('\n')}</div>` : '';
}

/** One trajectory of each pattern from the training of SOD, or of what was trained instead. */
function trajectories(plan: Plan, seeds: readonly number[]): string {
  const name = plan.methods.find(method => method.name === 'sod')?.name ?? plan.methods[0]?.name;
  if (!name) return '';
  const run = plan.runDir(name, seeds[0]);
  const found = (Object.keys(patternTitles) as Pattern[]).flatMap(pattern => mostTelling(run, pattern) ?? []);
  if (!found.length) return '';
  const parts = found.map(
    sample => `<h3>${patternTitles[sample.pattern!]}</h3>
<p class="soft">${escapeHtml(sample.task)}; the answer was ${sample.correct ? 'right' : 'wrong'}.</p>${trajectoryHtml(sample)}`,
  );
  return `<h2>Trajectories</h2><p>From the training of ${escapeHtml(name)}: what it said, what the tools answered, how far it was from
the teacher (d) and what the step counted (w). ${tokenLegend}</p>${parts.join('\n')}`;
}

/** The newest of the pattern in which a tool failed, if there is one. */
function mostTelling(run: string, wanted: Pattern): KeptTrajectory | undefined {
  return (
    newestTrajectory(run, ({ pattern, errors }) => pattern === wanted && errors > 0) ??
    newestTrajectory(run, ({ pattern }) => pattern === wanted)
  );
}
