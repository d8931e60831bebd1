/** A chart to look into: values under the cursor, zoom by dragging or by keys, and it grows with its data. */
import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import type { Line } from '../../report/curves.ts';
import { asPercent } from '../../report/numbers.ts';
import { type ChartProps, type Drawing, drawingOf } from './drawing.ts';
import { shownText } from './text.tsx';

const HEIGHT = 220;

export function Chart(props: ChartProps): JSX.Element | null {
  const { note, xLabel } = props;
  const title = shownText(props.title);
  const format = props.inPercent ? asPercent : plain;
  const shown = props.lines.filter(({ points }) => points.length > 0);
  const drawing = useMemo(
    () => drawingOf({ ...props, lines: shown }, format),
    [props.lines, props.smooth, props.theme, props.stacked],
  );
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [at, setAt] = useState<number | undefined>();
  usePlot(place, plot, drawing, props.group, setAt);
  if (shown.length === 0) return null;
  const first = Math.min(...shown.map(({ points }) => points[0].x));
  const last = Math.max(...shown.map(({ points }) => points.at(-1)!.x));
  const values = shown.map(line => `${shownText(line.name)} ${valueAt(line, at, format)}`).join(', ');
  return (
    <figure class="chart">
      <figcaption>
        <strong>{title}</strong>
        {note && <span class="soft"> {note}</span>}
      </figcaption>
      <div
        ref={place}
        class="plot"
        role="slider"
        tabIndex={0}
        aria-label={`${title}, by ${xLabel}`}
        aria-valuemin={first}
        aria-valuemax={last}
        aria-valuenow={at ?? last}
        aria-valuetext={`${placeName(xLabel, at)}: ${values}`}
        onKeyDown={event => plot.current && onKey(plot.current, event)}
        onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
      />
      <Legend lines={shown} xLabel={xLabel} at={at} format={format} />
    </figure>
  );
}

/** What the lines are called, and what they are at the cursor, or else at their end. */
function Legend({
  lines,
  xLabel,
  at,
  format,
}: { at?: number; format: (y: number) => string } & Pick<ChartProps, 'lines' | 'xLabel'>) {
  return (
    <ul class="legend">
      {lines.map((line, i) => (
        <li key={i}>
          <i class="swatch" style={{ background: `var(--${line.color})` }} />
          <bdi>{shownText(line.name)}</bdi> <span class="value">{valueAt(line, at, format)}</span>
        </li>
      ))}
      <li class="soft at">{placeName(xLabel, at)}</li>
    </ul>
  );
}

function valueAt({ points }: Line, at: number | undefined, format: (y: number) => string): string {
  const point = at === undefined ? points.at(-1) : points.find(({ x }) => x === at);
  return point ? format(point.y) : '–';
}

function placeName(xLabel: string, at: number | undefined): string {
  return at === undefined ? 'last' : `${xLabel === 'updates' ? 'update' : xLabel} ${at}`;
}

/** Keeps a plot in its place: made anew where its lines are others, and otherwise given its new data. */
function usePlot(
  place: { current: HTMLDivElement | null },
  plot: { current: uPlot | undefined },
  drawing: Drawing,
  group: string,
  setAt: (x: number | undefined) => void,
): void {
  const isEmpty = drawing.data.length < 2;
  useEffect(() => {
    const parent = place.current;
    if (!parent || isEmpty) return undefined;
    const made = new uPlot(
      {
        ...drawing.options,
        width: parent.clientWidth,
        height: HEIGHT,
        cursor: { sync: { key: group, setSeries: false }, drag: { x: true, y: false, dist: 6 }, points: { size: 6 } },
        legend: { show: false },
        hooks: { setCursor: [({ cursor: { idx }, data }) => setAt(idx == null ? undefined : data[0][idx])] },
      },
      drawing.data,
      parent,
    );
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: parent.clientWidth, height: HEIGHT }));
    resized.observe(parent);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [drawing.key, group, isEmpty]);
  useEffect(() => {
    const known = plot.current;
    if (known && known.data !== drawing.data) known.setData(drawing.data, !isZoomed(known));
  }, [drawing.data]);
}

function isZoomed({ scales: { x }, data: [xs] }: uPlot): boolean {
  return x.min! > xs[0] || x.max! < xs[xs.length - 1];
}

/** Arrows move the cursor, + and − zoom around it, Escape shows all. */
function onKey(plot: uPlot, event: KeyboardEvent): void {
  const { key } = event;
  const move = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (move) moveCursor(plot, move);
  else if (key === '+' || key === '=') zoom(plot, 0.5);
  else if (key === '-') zoom(plot, 2);
  else if (key === 'Escape') zoom(plot, Number.POSITIVE_INFINITY);
  else return;
  event.preventDefault();
}

function moveCursor(plot: uPlot, by: number): void {
  const [xs] = plot.data;
  const next = Math.min(xs.length - 1, Math.max(0, (plot.cursor.idx ?? xs.length - (by > 0 ? 1 : 0)) + by));
  plot.setCursor({ left: plot.valToPos(xs[next], 'x'), top: plot.over.clientHeight / 2 });
}

function zoom(plot: uPlot, factor: number): void {
  const [xs] = plot.data;
  const { min, max } = plot.scales.x as { min: number; max: number };
  const middle = plot.cursor.idx == null ? (min + max) / 2 : xs[plot.cursor.idx];
  const half = ((max - min) / 2) * factor;
  plot.setScale('x', { min: Math.max(xs[0], middle - half), max: Math.min(xs[xs.length - 1], middle + half) });
}

/** A number with as many digits as tell something. */
export function plain(value: number): string {
  const size = Math.abs(value);
  return value.toLocaleString('en', { maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3 });
}
