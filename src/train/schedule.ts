export interface Schedule {
  schedule: 'constant' | 'cosine' | 'linear';
  learningRate: number;
  /** Fraction of all updates over which the rate rises linearly from 0. */
  warmup: number;
}

/**
 * The learning rate of an update, counted from 0, out of `updates`: after the warm-up constant, or falling to 0 along
 * half a cosine or a line. The last update still learns: the rate would be 0 one update after it.
 */
export function learningRateAt({ schedule, learningRate, warmup }: Schedule, update: number, updates: number): number {
  const warmupUpdates = Math.round(warmup * updates);
  if (update < warmupUpdates) return (learningRate * (update + 1)) / warmupUpdates;
  const progress = (update - warmupUpdates) / (updates - warmupUpdates);
  if (schedule === 'cosine') return (learningRate * (1 + Math.cos(Math.PI * progress))) / 2;
  if (schedule === 'linear') return learningRate * (1 - progress);
  return learningRate;
}
