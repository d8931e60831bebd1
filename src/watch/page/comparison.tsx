/** The table of a comparison, of the demo or of an evaluation, with its error bars. */
import type { JSX } from 'preact';
import { percentText } from '../../report/numbers.ts';
import { colorOfMethod } from '../../report/palette.ts';
import type { RunSummary } from '../api.ts';
import { linkTo } from './route.ts';
import { shownText } from './text.tsx';

/** Averages in percent; `name` is that of a method, or of a benchmark. */
interface Row {
  name: string;
  average: number;
  /** Half the length of the error bar. */
  error: number;
  passAtK?: number;
  majorityAtK?: number;
}

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
  const below = runs.filter(run => run.name.startsWith(`${name}/`)).map(({ id }) => id);
  return (
    <section>
      <div class="heading">
        <h2>
          {kind} <bdi>{shownText(name)}</bdi>
        </h2>
        {below.length > 1 && <a href={linkTo('run', { run: below })}>Curves of its runs over each other</a>}
      </div>
      <div class="card wide">
        <table>
          <thead>
            <tr>
              {[kind === 'Evaluation' ? 'benchmark' : 'method', 'average, %', '', 'pass@k, %', 'maj@k, %'].map(head => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map(row => (
              <TableRow key={row.name} row={row} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function TableRow({ row: { name, average, error, passAtK, majorityAtK } }: { row: Row }): JSX.Element {
  return (
    <tr>
      <th scope="row">{shownText(name)}</th>
      <td>
        {cell(average)} {error > 0 && <span class="soft">± {cell(error)}</span>}
      </td>
      <td class="bar-cell">
        <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
          <rect class="track" width="100" height="10" />
          <rect width={average} height="10" style={{ fill: `var(--${colorOfMethod(name)})` }} />
          <rect class="error" x={Math.max(0, average - error)} y="4" width={2 * error} height="2" />
        </svg>
      </td>
      <td>{cell(passAtK)}</td>
      <td>{cell(majorityAtK)}</td>
    </tr>
  );
}

function cell(percents: number | undefined): string {
  return percents === undefined ? '–' : percentText(percents / 100, 1);
}

/** Of `table.json` of a comparison, `report.json` of the demo, `results.json` of an evaluation; no rows of what is something else. */
function readTable(table: unknown): { kind: 'Comparison' | 'Evaluation'; rows: Row[] } {
  if (!isRecord(table)) return { kind: 'Comparison', rows: [] };
  if (Array.isArray(table.benchmarks)) return { kind: 'Evaluation', rows: table.benchmarks.flatMap(benchmarkRow) };
  const rows = Array.isArray(table.rows)
    ? table.rows
    : Object.entries(table).map(([method, figures]) => isRecord(figures) && { method, ...figures });
  return { kind: 'Comparison', rows: rows.flatMap(methodRow) };
}

function methodRow(row: unknown): Row[] {
  if (!isRecord(row) || typeof row.method !== 'string' || typeof row.average !== 'number') return [];
  const [error, passAtK, majorityAtK] = [row.std ?? row.standardError, row.passAtK, row.majorityAtK].map(numberOf);
  return [{ name: row.method, average: row.average, error: error ?? 0, passAtK, majorityAtK }];
}

function benchmarkRow(row: unknown): Row[] {
  if (!isRecord(row) || typeof row.name !== 'string' || !isRecord(row.average)) return [];
  const passes = isRecord(row.passAtK) ? Object.entries(row.passAtK).sort(([a], [b]) => Number(b) - Number(a)) : [];
  const [average, passAtK, majorityAtK] = [row.average, passes[0]?.[1], row.majority].map(figure =>
    isRecord(figure) ? numberOf(figure.mean) : undefined,
  );
  if (average === undefined) return [];
  return [{ name: row.name, average, error: numberOf(row.average.std) ?? 0, passAtK, majorityAtK }];
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
