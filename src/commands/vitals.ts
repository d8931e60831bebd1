import { asPercent } from '../report/numbers.ts';
import type { Metrics } from '../train/runDirectory.ts';

const decimal = (value: number) => value.toFixed(3);

/** The numbers to watch while a run goes on: how each is called and written. */
const vitals: { name: string; of: (metrics: Metrics) => unknown; written: (value: number) => string }[] = [
  { name: 'loss', of: ({ loss, accuracy }) => (accuracy === undefined ? loss : undefined), written: decimal },
  { name: 'correct', of: ({ accuracy }) => accuracy, written: asPercent },
  { name: 'reward', of: ({ reward }) => reward, written: decimal },
  { name: 'tools ok', of: ({ toolSuccessRate }) => toolSuccessRate, written: asPercent },
  { name: 'KL', of: ({ reverseKl }) => reverseKl, written: decimal },
];

const levels = '▁▂▃▄▅▆▇█';
/** How many iterations a small curve shows. */
export const sparklineWidth = 12;

/** Those that an iteration has, in words. */
export function summary(metrics: Metrics): string {
  return shown([metrics])
    .map(({ name, text }) => `${name} ${text}`)
    .join('  ');
}

/** The same of the last of some iterations, each with a curve of how it came there. */
export function vitalsLine(iterations: readonly Metrics[]): string {
  return shown(iterations)
    .map(({ name, text, values }) => `${name} ${sparkline(values)} ${text}`)
    .join('  ');
}

function shown(iterations: readonly Metrics[]) {
  return vitals.flatMap(({ name, of, written }) => {
    const values = iterations.map(of).filter(value => typeof value === 'number');
    const isThere = typeof of(iterations.at(-1)!) === 'number';
    return isThere ? [{ name, values, text: written(values.at(-1)!) }] : [];
  });
}

/** Values as small columns, the lowest of them to the highest; a level line where all are the same. */
function sparkline(values: readonly number[]): string {
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  return values.map(value => levels[span > 0 ? Math.round(((value - low) / span) * 7) : 3]).join('');
}
