import type { Pattern } from '../methods/diagnostics.ts';
import {
  chartsTogether,
  type DrawnRun,
  errorCharts,
  patternChart,
  stepCharts,
  teacherChart,
} from '../report/charts.ts';
import { percentText } from '../report/numbers.ts';
import { colorOfMethod, hasColor, spareColors } from '../report/palette.ts';
import { chartSection, type Report, type ReportSection, type ResultTable } from '../report/report.ts';
import { newestTrajectory, readMetrics } from '../train/runDirectory.ts';
import type { KeptTrajectory } from '../train/trajectoryFile.ts';
import type { Plan } from './plan.ts';
import { bestStudent, type Row, tableCells } from './table.ts';

/** The comparison from the rows of its table and the runs of the plan's methods. */
export function compareReport(rows: readonly Row[], plan: Plan, seeds: readonly number[], command: string): Report {
  const trained = (ablation: boolean) => {
    const chosen = plan.methods.filter(method => method.ablation === ablation);
    return chosen.map(({ name }, i): DrawnRun => ({ name, color: colorOf(name, i), seeds: runsOf(plan, name, seeds) }));
  };
  const [methods, variants] = [trained(false), trained(true)];
  const whole = methods.find(({ name }) => name === 'sod');
  const ablations = variants.length && whole ? [whole, ...variants] : variants;
  const distilled = methods.filter(run => run.seeds.some(lines => lines.some(line => line.divergenceByStep)));
  const stepwise = distilled.filter(({ name }) => name === 'opd' || name === 'sod');
  const { tasks, k, temperature, topP } = plan.evaluation;
  return {
    title: 'Comparison of methods',
    headline: headline(rows),
    about:
      'All methods start from the same checkpoint (sft) and learn from the same prompts with the same optimizer and batches, ' +
      `${seeds.length} ${seeds.length === 1 ? 'seed' : 'seeds'} each; they differ in the advantage of each token, and in who the teacher is.`,
    settings:
      `average@${k} over ${tasks} held-out tasks, temperature ${temperature}, top-p ${topP}, ± standard deviation over seeds ` +
      `${seeds.join(', ')}. Made by ${command}`,
    table: table(rows, plan),
    sections: [
      ...chartSection(
        'Training',
        'Mean over the seeds, within a band of one standard deviation. Reverse KL is measured to the teacher of each method.',
        chartsTogether(methods),
      ),
      ...(ablations.length > 1
        ? chartSection('Ablations', 'SOD with one thing changed.', chartsTogether(ablations))
        : []),
      ...chartSection(
        'Teachers',
        'How far the student is from each of its teachers, in the tasks that are its own.',
        distilled.flatMap(run => ofRun(run, [teacherChart(run)])),
      ),
      ...chartSection(
        'Steps',
        'How far student and teacher are apart in each step of a trajectory (d), and what that makes the step count (w). The bands hold the middle 80 % of the last quarter of the training.',
        stepwise.flatMap(run => ofRun(run, stepCharts(run).slice(0, run.name === 'sod' ? 2 : 1))),
      ),
      ...chartSection(
        'Tool errors',
        'How far the student is from the teacher, and how sure the teacher is, in steps up to the first tool call that failed, after it, and in trajectories where none did.',
        stepwise.flatMap(run => ofRun(run, errorCharts(run))),
      ),
      ...chartSection(
        'Patterns',
        "Stable: the step weights stay near 1; erroneous: they fall and stay low; recovery: they fall and return. By SOD's weights, whatever the method.",
        distilled.flatMap(run => ofRun(run, [patternChart(run)])),
      ),
      ...trajectories(plan, seeds),
    ],
  };
}

/** Charts that say whose they are. */
function ofRun<T extends { title: string }>({ name }: DrawnRun, charts: readonly T[]): T[] {
  return charts.map(chart => ({ ...chart, title: `${name}: ${chart.title}` }));
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

function runsOf(plan: Plan, name: string, seeds: readonly number[]): DrawnRun['seeds'] {
  return seeds.map(seed => readMetrics(plan.runDir(name, seed)));
}

function table(rows: readonly Row[], plan: Plan): ResultTable {
  const { head, body } = tableCells(rows, plan);
  const best = bestStudent(rows);
  return {
    head,
    rows: rows.map(({ method, average, std = 0 }, i) => ({
      name: method,
      color: colorOfMethod(method),
      average: 100 * average,
      error: 100 * std,
      cells: body[i].slice(1),
      isBest: method === best,
    })),
    note: 'In percent. The best student is set in bold.',
  };
}

/** One trajectory of each pattern from the training of SOD, or of what was trained instead. */
function trajectories(plan: Plan, seeds: readonly number[]): ReportSection[] {
  const name = plan.methods.find(method => method.name === 'sod')?.name ?? plan.methods[0]?.name;
  if (!name) return [];
  const run = plan.runDir(name, seeds[0]);
  const found = (['recovery', 'erroneous', 'stable'] as const).flatMap(pattern => mostTelling(run, pattern) ?? []);
  if (found.length === 0) return [];
  const text = `From the training of ${name}: what it said, what the tools answered, how far it was from the teacher (d) and what the step counted (w).`;
  return [{ title: 'Trajectories', text, trajectories: found }];
}

/** The newest of the pattern in which a tool failed, if there is one. */
function mostTelling(run: string, wanted: Pattern): KeptTrajectory | undefined {
  return (
    newestTrajectory(run, ({ pattern, errors }) => pattern === wanted && errors > 0) ??
    newestTrajectory(run, ({ pattern }) => pattern === wanted)
  );
}
