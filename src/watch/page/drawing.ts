/** What uPlot is given for a chart: columns of numbers, and how to draw them. */
import uPlot from 'uplot';
import type { ChartContent } from '../../report/charts.ts';
import type { Line, Point } from '../../report/curves.ts';
import { shade, type Theme } from '../../report/palette.ts';

export interface ChartProps extends ChartContent {
  /** Lines are averages over so many points, over the faint originals. */
  smooth: number;
  /** Charts of a group have one cursor and one zoom. */
  group: string;
  theme: Theme;
}

export interface Drawing {
  /** Drawings of one key differ in their data only. */
  key: string;
  options: Pick<uPlot.Options, 'series' | 'bands' | 'axes' | 'scales' | 'padding'>;
  data: uPlot.AlignedData;
}

/** One column, and its look. */
interface Column {
  points: readonly { x: number; y: number }[];
  look: uPlot.Series;
}

export function drawingOf(props: ChartProps, format: (y: number) => string): Drawing {
  const { lines, smooth, stacked = false, theme, xLabel } = props;
  const smoothed = lines.map(line => (line.dots ? line.points : movingAverage(line.points, smooth)));
  const groups = stacked
    ? stackedColumns(lines, smoothed, theme)
    : lines.map((line, i) => columnsOf(line, smoothed[i], smooth, theme));
  const columns = groups.flat();
  return {
    key: JSON.stringify([
      theme,
      xLabel,
      stacked,
      lines.map(({ name, color }) => [name, color]),
      groups.map(g => g.length),
    ]),
    options: {
      series: [{}, ...columns.map(({ look }) => ({ spanGaps: true, points: { show: false }, ...look }))],
      bands: stacked ? [] : bandsOf(groups, lines, theme),
      axes: axes(xLabel, format, theme),
      scales: {
        x: { time: false },
        y: {
          range: (_, min, max) =>
            min === null || (min === 0 && max === 0)
              ? [0, 1]
              : uPlot.rangeNum(Math.min(0, min), Math.max(0, max), 0.05, true),
        },
      },
      padding: [8, 14, 0, 0],
    },
    data: joined(columns),
  };
}

/** The mean of each point and those before it, `size` in all. */
function movingAverage(points: readonly Point[], size: number): readonly Point[] {
  if (size === 1) return points;
  return points.map((point, i) => {
    const window = points.slice(Math.max(0, i - size + 1), i + 1);
    const average = (value: (p: Point) => number) => window.reduce((sum, p) => sum + value(p), 0) / window.length;
    if (point.low === undefined) return { x: point.x, y: average(p => p.y) };
    return { x: point.x, y: average(p => p.y), low: average(p => p.low ?? p.y), high: average(p => p.high ?? p.y) };
  });
}

/** The band's edges if it has one, the faint original if the line is smoothed, and the line. */
function columnsOf(line: Line, smoothed: readonly Point[], smooth: number, theme: Theme): Column[] {
  const stroke = shade(line.color, theme);
  const edge = (y: (point: Point) => number | undefined): Column => ({
    points: smoothed.map(point => ({ x: point.x, y: y(point) ?? point.y })),
    look: { stroke: 'transparent' },
  });
  const hasBand = line.points.some(({ low }) => low !== undefined);
  const isSmoothed = smooth > 1 && !line.dots;
  return [
    ...(hasBand ? [edge(({ high }) => high), edge(({ low }) => low)] : []),
    ...(isSmoothed ? [{ points: line.points, look: { stroke, width: 1, alpha: 0.25 } }] : []),
    {
      points: smoothed,
      look: { stroke, width: 2, ...(line.dots && { dash: [5, 4], points: { show: true, size: 6, fill: stroke } }) },
    },
  ];
}

function bandsOf(groups: readonly Column[][], lines: readonly Line[], theme: Theme): uPlot.Band[] {
  let first = 1;
  return groups.flatMap((columns, i) => {
    const high = first;
    first += columns.length;
    const hasBand = columns[0].look.stroke === 'transparent';
    return hasBand ? [{ series: [high, high + 1] as [number, number], fill: `${shade(lines[i].color, theme)}26` }] : [];
  });
}

/** The highest first, so that each covers of it what is below. */
function stackedColumns(lines: readonly Line[], smoothed: readonly (readonly Point[])[], theme: Theme): Column[][] {
  const sums = new Map<number, number>();
  const columns = lines.map(({ color }, i): Column => {
    const points = smoothed[i].map(({ x, y }) => {
      sums.set(x, (sums.get(x) ?? 0) + y);
      return { x, y: sums.get(x)! };
    });
    const fill = shade(color, theme);
    return { points, look: { stroke: fill, fill, width: 1 } };
  });
  return columns.toReversed().map(column => [column]);
}

function joined(columns: readonly Column[]): uPlot.AlignedData {
  if (columns.length === 0) return [[]];
  return uPlot.join(columns.map(({ points }) => [points.map(({ x }) => x), points.map(({ y }) => y)]));
}

function axes(xLabel: string, format: (y: number) => string, theme: Theme): uPlot.Axis[] {
  const common = {
    stroke: shade('soft', theme),
    font: '12px system-ui, sans-serif',
    ticks: { show: false },
    grid: { stroke: shade('rule', theme), width: 1 },
  };
  return [
    {
      ...common,
      grid: { show: false },
      label: xLabel,
      labelFont: common.font,
      labelSize: 18,
      labelGap: 0,
      size: 24,
      gap: 6,
      incrs: wholeSteps,
    },
    { ...common, size: 52, gap: 6, values: (_, ticks) => ticks.map(format) },
  ];
}

const wholeSteps = [1, 2, 5]
  .flatMap(step => Array.from({ length: 8 }, (_, power) => step * 10 ** power))
  .sort((a, b) => a - b);
