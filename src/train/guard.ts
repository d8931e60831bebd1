import type { Guard } from './guardSchema.ts';
import type { Metrics } from './runDirectory.ts';

/**
 * Whether a run collapses while it goes on: a metric has left the band of the first iterations where the mean of the last few
 * is outside it. A band reaches from the mean of the first iterations by a factor, and is never narrower than their scatter
 * asks for. What can only be good news, such as rising accuracy, leaves no band.
 */

/** What is watched: how people call it, and on which sides it can leave its band. */
const watched = {
  reverseKl: { title: 'reverse KL', sides: ['high'] },
  responseTokens: { title: 'response length', sides: ['low', 'high'] },
  toolTurns: { title: 'tool calls a trajectory', sides: ['low'] },
  accuracy: { title: 'accuracy', sides: ['low'] },
} as const;
export type Watched = keyof typeof watched;

/** A metric outside its band. */
export interface Departure {
  metric: Watched;
  /** Mean of the last iterations. */
  value: number;
  /** Of the first iterations. */
  mean: number;
  deviation: number;
  /** The end of the band beyond which the metric is. */
  bound: number;
}

/** The metrics that have left their bands by the last of a run's iterations, of which `history` has a line each. */
export function departures(history: readonly Metrics[], guard: Guard): Departure[] {
  const lines = history.filter(({ iteration }) => iteration > 0);
  if (guard.action === 'off' || lines.length < guard.first + guard.last) return [];
  return (Object.keys(watched) as Watched[]).flatMap(metric => {
    const values = (part: readonly Metrics[]) =>
      part.map(line => line[metric]).filter((value): value is number => Number.isFinite(value));
    return departure(metric, values(lines.slice(0, guard.first)), values(lines.slice(-guard.last)), guard) ?? [];
  });
}

function departure(
  metric: Watched,
  first: readonly number[],
  last: readonly number[],
  { [metric]: factor, deviations }: Guard,
): Departure | undefined {
  if (factor === 'off' || first.length < 2 || last.length === 0) return undefined;
  const [mean, value] = [meanOf(first), meanOf(last)];
  const deviation = Math.sqrt(first.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (first.length - 1));
  const bounds = {
    low: Math.min(mean / factor, mean - deviations * deviation),
    high: Math.max(mean * factor, mean + deviations * deviation),
  };
  const side = watched[metric].sides.find(side => (side === 'low' ? value < bounds.low : value > bounds.high));
  return side && { metric, value, mean, deviation, bound: bounds[side] };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** In one line. */
export function formatDepartures(departures: readonly Departure[], iteration: number, { first, last }: Guard): string {
  const parts = departures.map(({ metric, value, mean, deviation, bound }) => {
    const side = value > bound ? 'above' : 'below';
    return (
      `${watched[metric].title} is ${short(value)}, ${side} ${short(bound)} ` +
      `(iterations 1 to ${first}: ${short(mean)} ± ${short(deviation)})`
    );
  });
  const when = last === 1 ? `iteration ${iteration}` : `iterations ${iteration - last + 1} to ${iteration}`;
  return `guard: in ${when}, ${parts.join('; ')}: the policy may be collapsing`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** What a plan says of it. */
export function describeGuard(guard: Guard): string {
  const { action, first, last, deviations } = guard;
  if (action === 'off') return 'off';
  const bands = (Object.keys(watched) as Watched[]).flatMap(metric => {
    const { title, sides } = watched[metric];
    const factor = guard[metric];
    if (factor === 'off') return [];
    return `${title} ${sides.map(side => (side === 'low' ? `below 1/${factor}` : `above ${factor} times`)).join(' or ')}`;
  });
  return (
    `${action} where the mean of ${last} iterations is, beside that of the first ${first}, ${bands.join(', ')}, ` +
    `and ${deviations} standard deviations away`
  );
}
