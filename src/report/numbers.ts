/** How reports write numbers. */

/** A fraction in percent, rounded to two decimals, for JSON. */
export function percent(fraction: number): number {
  return Math.round(fraction * 10_000) / 100;
}

/** A fraction in percent, for people. It is rounded once, from the fraction itself. */
export function percentText(fraction: number, decimals: number): string {
  return (100 * fraction).toFixed(decimals);
}

/** Where whole percents do: on axes, while a run goes on. */
export function asPercent(fraction: number): string {
  return `${percentText(fraction, 0)} %`;
}

export function duration(seconds: number): string {
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
