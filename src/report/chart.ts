/** Line and bar charts as SVG text. Colours are CSS classes, so that a page can follow the reader's light or dark setting. */

export interface Series {
  name: string;
  /** CSS class of line, band and legend. */
  color: string;
  points: Point[];
}

export interface Point {
  x: number;
  y: number;
  /** A band around the line, such as the 10th and 90th percentile. */
  low?: number;
  high?: number;
}

export interface LineChart {
  title: string;
  xLabel: string;
  series: Series[];
  format?: (y: number) => string;
  /** Every x is a tick of its own: for small whole numbers. */
  discrete?: boolean;
  /** Lines are moving averages over this many points, over the faint originals. */
  smooth?: number;
}

const width = 460;
const height = 250;
const margin = { left: 52, right: 14, top: 34, bottom: 40 };

export function lineChart({ title, xLabel, series, format = String, discrete, smooth = 1 }: LineChart): string {
  const shown = series.filter(({ points }) => points.length > 0);
  if (!shown.length) return '';
  const points = shown.flatMap(line => line.points);
  const xs = points.map(({ x }) => x);
  const ys = points.flatMap(({ y, low, high }) => [y, low ?? y, high ?? y]);
  const yTicks = ticks(Math.min(0, ...ys), Math.max(...ys), 5);
  const [xMin, xMax] = [Math.min(...xs), Math.max(...xs)];
  const [yMin, yMax] = [yTicks[0], yTicks[yTicks.length - 1]];
  const x = scale(xMin, xMax, margin.left, width - margin.right);
  const y = scale(yMin, yMax, height - margin.bottom, margin.top);
  const xTicks = discrete ? [...new Set(xs)] : ticks(xMin, xMax, 6).filter(tick => tick >= xMin && tick <= xMax);

  const lines = shown.map(({ color, points }) => {
    const smoothed = movingAverage(points, smooth);
    const band = points.some(point => point.low !== undefined)
      ? `<path class="band ${color}" d="${path(smoothed.map(p => [x(p.x), y(p.high ?? p.y)]))}${path(
          smoothed.toReversed().map(p => [x(p.x), y(p.low ?? p.y)]),
        ).replace('M', 'L')}Z"/>`
      : '';
    const raw = points.map((p): [number, number] => [x(p.x), y(p.y)]);
    const faint = smooth > 1 ? `<path class="line faint ${color}" d="${path(raw)}"/>` : '';
    const bold = smoothed.map((p): [number, number] => [x(p.x), y(p.y)]);
    const dots = discrete ? bold.map(([cx, cy]) => `<circle class="dot ${color}" cx="${cx}" cy="${cy}" r="3"/>`) : [];
    return `${band}${faint}<path class="line ${color}" d="${path(bold)}"/>${dots.join('')}`;
  });
  return `<figure><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">
<text class="title" x="${margin.left}" y="18">${escapeHtml(title)}</text>
${yTicks.map(tick => `<line class="rule" x1="${margin.left}" x2="${width - margin.right}" y1="${round(y(tick))}" y2="${round(y(tick))}"/><text class="tick" x="${margin.left - 7}" y="${round(y(tick) + 4)}" text-anchor="end">${format(tick)}</text>`).join('\n')}
${xTicks.map(tick => `<text class="tick" x="${round(x(tick))}" y="${height - margin.bottom + 16}" text-anchor="middle">${tick}</text>`).join('\n')}
<text class="tick" x="${(margin.left + width - margin.right) / 2}" y="${height - 6}" text-anchor="middle">${escapeHtml(xLabel)}</text>
${lines.join('\n')}
</svg>${legend(shown)}</figure>`;
}

function legend(series: Series[]): string {
  if (series.length < 2) return '';
  const entries = series.map(({ name, color }) => `<span><i class="${color}"></i>${escapeHtml(name)}</span>`);
  return `<figcaption>${entries.join(' ')}</figcaption>`;
}

export interface Bar {
  name: string;
  color: string;
  /** In percent. */
  value: number;
  /** Half the length of the error bar. */
  error: number;
}

export function barChart(bars: Bar[]): string {
  const [rowHeight, left, right] = [34, 150, 640];
  const x = scale(0, 100, left, right);
  const rows = bars.map(({ name, color, value, error }, i) => {
    const top = i * rowHeight + 6;
    const middle = top + 11;
    return `<text class="name" x="${left - 12}" y="${middle + 4}" text-anchor="end">${escapeHtml(name)}</text>
<rect class="track" x="${left}" y="${top}" width="${right - left}" height="22" rx="4"/>
<rect class="bar ${color}" x="${left}" y="${top}" width="${round(Math.max(x(value) - left, 2))}" height="22" rx="4"/>
<line class="error" x1="${round(x(Math.max(0, value - error)))}" x2="${round(x(Math.min(100, value + error)))}" y1="${middle}" y2="${middle}"/>
<text class="value" x="${right + 10}" y="${middle + 4}">${value.toFixed(1)} %</text>`;
  });
  return `<svg class="bars" viewBox="0 0 710 ${bars.length * rowHeight + 8}" role="img" aria-label="Accuracy by model">${rows.join('\n')}</svg>`;
}

/** Round numbers that cover [from, to], about `wanted` of them. */
export function ticks(from: number, to: number, wanted: number): number[] {
  const span = to - from || 1;
  const magnitude = 10 ** Math.floor(Math.log10(span / wanted));
  const step = [1, 2, 5, 10].map(factor => factor * magnitude).find(size => span / size <= wanted)!;
  const result: number[] = [];
  for (let i = Math.floor(from / step + 1e-9); i < to / step - 1e-9; i++) result.push(i * step);
  return [...result, Math.ceil(to / step - 1e-9) * step].map(tick => Number(tick.toPrecision(12)));
}

function scale(from: number, to: number, first: number, last: number): (value: number) => number {
  return value => round(to === from ? (first + last) / 2 : first + ((value - from) / (to - from)) * (last - first));
}

/** The mean of each point and those before it, `size` in all. */
export function movingAverage(points: Point[], size: number): Point[] {
  return points.map((point, i) => {
    const window = points.slice(Math.max(0, i - size + 1), i + 1);
    const average = (value: (p: Point) => number) => window.reduce((sum, p) => sum + value(p), 0) / window.length;
    if (point.low === undefined) return { x: point.x, y: average(p => p.y) };
    return { x: point.x, y: average(p => p.y), low: average(p => p.low ?? p.y), high: average(p => p.high ?? p.y) };
  });
}

function path(points: [number, number][]): string {
  return `M${points.map(point => point.join(' ')).join('L')}`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
