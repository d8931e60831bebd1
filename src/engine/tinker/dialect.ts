/** What servers that speak the Tinker API do differently, as far as a run has to know. */

export interface Dialect {
  /** How a server adds up tokens: the sum of all, or for each sequence the mean over its tokens, then the mean over sequences. */
  reduction: 'sum' | 'mean';
  /** Policy losses take `weights` beside `advantages`: tokens that nothing is learned from are then left out, not counted as 0. */
  takesWeights: boolean;
  /** `ppo` takes `dual_clip`. */
  dualClip: boolean;
  /** Clips the gradient's norm to what an update says. */
  clipsNorm: boolean;
  /** Takes betas, epsilon and weight decay with every update: else they are set where the server is started. */
  takesAdam: boolean;
  /** Trains all weights: else an adapter of low rank. */
  trainsAll: boolean;
  /** Takes `forward_only` for sampling sessions: scores sequences together, and tells entropies. */
  scoresTogether: boolean;
  /** Its seeds are the numbers below this. */
  seeds: number;
  /** Most of one request of training data. */
  mostSequences: number;
  mostBytes: number;
}

/** Limits of the official SDK, and of SkyRL's seeds: signed numbers of 32 bits. */
const sdkLimits = { seeds: 2 ** 31, mostSequences: 1024, mostBytes: 5_000_000 };

const skyrl = { takesWeights: false, dualClip: false, clipsNorm: false, scoresTogether: false, ...sdkLimits };

export const dialects = {
  /** `sod serve --tinker`. */
  sod: {
    reduction: 'sum',
    takesWeights: true,
    dualClip: true,
    clipsNorm: true,
    takesAdam: true,
    trainsAll: true,
    scoresTogether: true,
    seeds: 2 ** 32,
    mostSequences: 100_000,
    mostBytes: 100_000_000,
  },
  tinker: {
    reduction: 'sum',
    takesWeights: false,
    dualClip: false,
    clipsNorm: true,
    takesAdam: true,
    trainsAll: false,
    scoresTogether: false,
    ...sdkLimits,
  },
  'skyrl-jax': { ...skyrl, reduction: 'mean', takesAdam: true, trainsAll: false },
  'skyrl-fsdp': { ...skyrl, reduction: 'sum', takesAdam: false, trainsAll: true },
  'skyrl-megatron': { ...skyrl, reduction: 'sum', takesAdam: false, trainsAll: true },
} as const satisfies Record<string, Dialect>;

export type DialectName = keyof typeof dialects;
export const dialectNames = Object.keys(dialects) as [DialectName, ...DialectName[]];

/** Of the adapter that is trained, where a recipe does not say it; 0: all weights. */
export function defaultRank({ trainsAll }: Dialect): number {
  return trainsAll ? 0 : 32;
}

/** Of a recipe, what not every server can do. */
export interface Wishes {
  optimizer: { betas: readonly [number, number]; epsilon: number; weightDecay: number; clipNorm: number };
  loss?: { dualClip: number | 'off' };
}

/**
 * What a recipe asks for and a server would not do, each with what to write instead.
 * @param rank of the adapter that is trained; 0: all weights
 */
export function unsupported(name: DialectName, rank: number, { optimizer, loss }: Wishes): string[] {
  const dialect: Dialect = dialects[name];
  const refusals: string[] = [];
  if (loss && loss.dualClip !== 'off' && !dialect.dualClip) refusals.push('no dual clip (loss.dualClip: off)');
  if (optimizer.clipNorm > 0 && !dialect.clipsNorm) {
    refusals.push(
      'no clipping of the gradient per update (optimizer.clipNorm: 0, and clip where the server is started)',
    );
  }
  if (rank === 0 && !dialect.trainsAll) refusals.push('no training of all weights (engine.rank: 32)');
  return refusals;
}
