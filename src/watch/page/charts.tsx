/** Charts beside each other; those over updates have one cursor and one zoom. */
import type { JSX } from 'preact';
import type { ChartContent } from '../../report/charts.ts';
import type { Theme } from '../../report/palette.ts';
import { Chart } from './chart.tsx';

export interface ChartsProps {
  charts: readonly ChartContent[];
  smooth: number;
  /** Charts of a group share their cursor. */
  group: string;
  theme: Theme;
}

export function Charts({ charts, smooth, group, theme }: ChartsProps): JSX.Element {
  return (
    <div class="charts">
      {charts.map(content => (
        <Chart
          key={content.title}
          {...content}
          smooth={content.xLabel === 'step' ? 1 : smooth}
          group={content.xLabel === 'step' ? content.title : group}
          theme={theme}
        />
      ))}
    </div>
  );
}

/** Over how many points charts of that length average. */
export function smoothing(charts: readonly ChartContent[]): number {
  const longest = Math.max(0, ...charts.flatMap(({ lines }) => lines.map(({ points }) => points.length)));
  return Math.max(1, Math.round(longest / 30));
}

export function ChartHint(): JSX.Element {
  return (
    <p class="soft hint">
      Drag over a chart to zoom in, double-click to see all; or, by keyboard, arrows, + and −, Escape.
    </p>
  );
}
