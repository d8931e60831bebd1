import type { Evaluation } from '../eval/evaluate.ts';
import { mean, standardDeviation } from '../eval/metrics.ts';
import { percent, percentText } from '../report/numbers.ts';
import type { Plan } from './plan.ts';

/** A method's results over all seeds; all fractions are in [0, 1]. */
export interface Row {
  method: string;
  /** average@k. */
  average: number;
  /** Standard deviation of the average over seeds (n − 1); undefined for one seed. */
  std?: number;
  seeds: number;
  /** The average of each seed. */
  averages: number[];
  passAtK: number;
  majorityAtK: number;
  /** Undefined where no tool was called. */
  toolSuccessRate?: number;
  toolTurns: number;
  responseTokens: number;
}

export function rowOf(method: string, evaluations: readonly Evaluation[]): Row {
  const over = (value: (evaluation: Evaluation) => number) => mean(evaluations.map(value));
  const averages = evaluations.map(({ average }) => average);
  const toolTurns = over(e => e.diagnostics.toolTurns);
  return {
    method,
    average: mean(averages),
    std: standardDeviation(averages),
    seeds: averages.length,
    averages,
    passAtK: over(e => e.passAtK),
    majorityAtK: over(e => e.majorityAtK),
    toolSuccessRate: toolTurns > 0 ? over(e => e.diagnostics.toolSuccessRate) : undefined,
    toolTurns,
    responseTokens: over(e => e.diagnostics.responseTokens),
  };
}

/** What `table.json` holds; fractions in percent. */
export function tableJson(rows: readonly Row[], { evaluation }: Plan, seeds: readonly number[]) {
  return {
    rows: rows.map(({ method, average, std, seeds, averages, passAtK, majorityAtK, toolSuccessRate, ...counts }) => ({
      method,
      average: percent(average),
      std: std === undefined ? null : percent(std),
      seeds,
      averages: averages.map(percent),
      passAtK: percent(passAtK),
      majorityAtK: percent(majorityAtK),
      toolSuccessRate: toolSuccessRate === undefined ? null : percent(toolSuccessRate),
      ...counts,
    })),
    seeds,
    evaluation,
  };
}

/** The cells of the table as people read it, with its head; the best student of all methods is set in bold. */
export function tableCells(rows: readonly Row[], { evaluation: { k } }: Plan): { head: string[]; body: string[][] } {
  const two = (fraction: number) => percentText(fraction, 2);
  return {
    head: ['method', `average@${k}`, `pass@${k}`, `maj@${k}`, 'tool success', 'tool calls', 'tokens', 'seeds'],
    body: rows.map(row => [
      row.method,
      two(row.average) + (row.std === undefined ? '' : ` ± ${two(row.std)}`),
      two(row.passAtK),
      two(row.majorityAtK),
      row.toolSuccessRate === undefined ? '–' : two(row.toolSuccessRate),
      row.toolTurns.toFixed(1),
      row.responseTokens.toFixed(0),
      String(row.seeds),
    ]),
  };
}

/** The best of what was trained from the student's checkpoint. */
export function bestStudent(rows: readonly Row[]): string | undefined {
  return rows.filter(({ method }) => method !== 'teacher').toSorted((a, b) => b.average - a.average)[0]?.method;
}

export function formatMarkdown(rows: readonly Row[], plan: Plan): string {
  const { head, body } = tableCells(rows, plan);
  const best = bestStudent(rows);
  const lines = body.map(cells => (cells[0] === best ? cells.map((cell, i) => (i < 2 ? `**${cell}**` : cell)) : cells));
  return [head, head.map((_, i) => (i ? '--:' : '---')), ...lines].map(cells => `| ${cells.join(' | ')} |\n`).join('');
}

/** For the terminal. */
export function formatTable(rows: readonly Row[], plan: Plan): string {
  const { head, body } = tableCells(rows, plan);
  const widths = head.map((_, i) => Math.max(...[head, ...body].map(cells => cells[i].length)));
  return [head, ...body]
    .map(cells => cells.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  '))
    .join('\n');
}
