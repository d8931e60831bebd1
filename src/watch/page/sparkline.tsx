import type { JSX } from 'preact';

const [WIDTH, HEIGHT] = [160, 40];

/** A small curve, for its shape. */
export function Sparkline({
  values,
  color,
  name,
}: {
  values: readonly number[];
  color: string;
  name: string;
}): JSX.Element {
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const points = values.map((value, i) => {
    const x = values.length > 1 ? (i / (values.length - 1)) * WIDTH : WIDTH / 2;
    return `${x.toFixed(1)},${(HEIGHT - 2 - ((value - low) / span) * (HEIGHT - 4)).toFixed(1)}`;
  });
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={`${name} over time`}
    >
      <polyline points={points.join(' ')} style={{ stroke: `var(--${color})` }} />
    </svg>
  );
}
