/** How reports write numbers. */

/** A fraction in percent, to two decimals. */
export function percent(fraction: number): number {
  return Math.round(fraction * 10_000) / 100;
}

/** For axes. */
export function asPercent(fraction: number): string {
  return `${Math.round(fraction * 100)} %`;
}

export function duration(seconds: number): string {
  return seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
