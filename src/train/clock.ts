/** Seconds by phase. */
export class Clock<Phase extends string> {
  readonly seconds: Partial<Record<Phase, number>> = {};

  async time<T>(phase: Phase, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.seconds[phase] = (this.seconds[phase] ?? 0) + (performance.now() - start) / 1000;
    }
  }
}
