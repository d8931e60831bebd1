/** The table of a comparison, of the demo or of an evaluation, with its error bars. */
import type { JSX } from 'preact';
import { percentText } from '../../report/numbers.ts';
import { colorOfMethod } from '../../report/palette.ts';
import type { ResultRow } from '../../report/report.ts';
import type { RunSummary } from '../api.ts';
import { ResultTable } from './resultTable.tsx';
import { linkTo } from './route.ts';
import { shownText } from './text.tsx';

export function ComparisonTable({
  name,
  table,
  runs,
}: {
  name: string;
  table: unknown;
  runs: readonly RunSummary[];
}): JSX.Element | null {
  const { kind, rows } = readTable(table);
  if (rows.length === 0) return null;
  const head = [kind === 'Evaluation' ? 'benchmark' : 'method', 'average, %', 'pass@k, %', 'maj@k, %'];
  const below = runs.filter(run => run.name.startsWith(`${name}/`)).map(({ id }) => id);
  return (
    <section>
      <div class="heading">
        <h2>
          {kind} <bdi>{shownText(name)}</bdi>
        </h2>
        {below.length > 1 && <a href={linkTo('run', { run: below })}>Curves of its runs over each other</a>}
      </div>
      <ResultTable table={{ head, rows }} />
    </section>
  );
}

function cell(percents: number | undefined): string {
  return percents === undefined ? '–' : percentText(percents / 100, 1);
}

/** Of `table.json` of a comparison, `report.json` of the demo, `results.json` of an evaluation; no rows of what is something else. */
function readTable(table: unknown): { kind: 'Comparison' | 'Evaluation'; rows: ResultRow[] } {
  if (!isRecord(table)) return { kind: 'Comparison', rows: [] };
  if (Array.isArray(table.benchmarks)) return { kind: 'Evaluation', rows: table.benchmarks.flatMap(benchmarkRow) };
  const rows = Array.isArray(table.rows)
    ? table.rows
    : Object.entries(table).map(([method, figures]) => isRecord(figures) && { method, ...figures });
  return { kind: 'Comparison', rows: rows.flatMap(methodRow) };
}

function methodRow(row: unknown): ResultRow[] {
  if (!isRecord(row) || typeof row.method !== 'string' || typeof row.average !== 'number') return [];
  const [error, passAtK, majorityAtK] = [row.std ?? row.standardError, row.passAtK, row.majorityAtK].map(numberOf);
  return [resultRow(row.method, row.average, error, passAtK, majorityAtK)];
}

function benchmarkRow(row: unknown): ResultRow[] {
  if (!isRecord(row) || typeof row.name !== 'string' || !isRecord(row.average)) return [];
  const passes = isRecord(row.passAtK) ? Object.entries(row.passAtK).sort(([a], [b]) => Number(b) - Number(a)) : [];
  const [average, passAtK, majorityAtK] = [row.average, passes[0]?.[1], row.majority].map(figure =>
    isRecord(figure) ? numberOf(figure.mean) : undefined,
  );
  if (average === undefined) return [];
  return [resultRow(row.name, average, numberOf(row.average.std), passAtK, majorityAtK)];
}

/** Of figures in percent; `name` is that of a method, or of a benchmark. */
function resultRow(name: string, average: number, error = 0, passAtK?: number, majorityAtK?: number): ResultRow {
  const figure = error > 0 ? `${cell(average)} ± ${cell(error)}` : cell(average);
  return { name, color: colorOfMethod(name), average, error, cells: [figure, cell(passAtK), cell(majorityAtK)] };
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
