/** Results with their error bars, whatever they are of. */
import type { JSX } from 'preact';
import type { ResultRow, ResultTable as Table } from '../../report/report.ts';
import { shownText } from './text.tsx';

export function ResultTable({ table: { head, rows, note } }: { table: Table }): JSX.Element {
  const [name, average, ...others] = head;
  return (
    <div class="card wide">
      <table>
        <thead>
          <tr>
            {[name, average, '', ...others].map(cell => (
              <th key={cell} scope="col">
                {cell}
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
      {note && <p class="soft hint">{note}</p>}
    </div>
  );
}

function TableRow({ row: { name, color, average, error, cells, isBest } }: { row: ResultRow }): JSX.Element {
  const [figure, ...others] = cells;
  return (
    <tr class={isBest ? 'best' : undefined}>
      <th scope="row">{shownText(name)}</th>
      <td>{figure}</td>
      <td class="bar-cell">
        <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
          <rect class="track" width="100" height="10" />
          <rect width={average} height="10" style={{ fill: `var(--${color})` }} />
          <rect class="error" x={Math.max(0, average - error)} y="4" width={2 * error} height="2" />
        </svg>
      </td>
      {others.map((cell, i) => (
        <td key={i}>{cell}</td>
      ))}
    </tr>
  );
}
