/** What servers that speak the Tinker API do differently, as far as a run has to know. */
import type { LinearName } from '../../model/config.ts';
import type { LoraShape } from '../../model/lora.ts';

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
  /** Trains all weights where a recipe has no `lora`, and not adapters alone. */
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

const skyrl = {
  takesWeights: false,
  dualClip: false,
  clipsNorm: false,
  scoresTogether: false,
  ...sdkLimits,
};

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

/** Of adapters, whatever their rank: no server takes another. */
export const alpha = 32;

/** Of the adapters that are trained; 0: all weights, where a recipe has no `lora` and the server can. */
export function trainedRank({ trainsAll }: Dialect, lora?: LoraShape): number {
  return lora?.rank ?? (trainsAll ? 0 : 32);
}

/** The layers that have adapters, as the API names them: attention's and the MLP's, all or none of each. */
export function trainedLayers(lora?: LoraShape): { train_attn: boolean; train_mlp: boolean } {
  const has = (names: readonly LinearName[]) => !lora || names.every(name => lora.targets.includes(name));
  return { train_attn: has(attention), train_mlp: has(mlp) };
}

/** The linear maps in these layers. */
export function targetsOf(layers: ReturnType<typeof trainedLayers>): LinearName[] {
  return [...(layers.train_attn ? attention : []), ...(layers.train_mlp ? mlp : [])];
}

const attention = ['q_proj', 'k_proj', 'v_proj', 'o_proj'] as const;
const mlp = ['gate_proj', 'up_proj', 'down_proj'] as const;

/** Of a recipe, what not every server can do. */
export interface Wishes {
  optimizer: { betas: readonly [number, number]; epsilon: number; weightDecay: number; clipNorm: number };
  loss?: { dualClip: number | 'off' };
  lora?: LoraShape;
  /** Of the teacher that the server is to be. */
  alternatives?: number;
}

/** What a recipe asks for and a server would not do, each with what to write instead. */
export function unsupported(name: DialectName, { optimizer, loss, lora, alternatives }: Wishes): string[] {
  const dialect: Dialect = dialects[name];
  const refusals: string[] = [];
  if (loss && loss.dualClip !== 'off' && !dialect.dualClip) refusals.push('no dual clip (loss.dualClip: off)');
  if (optimizer.clipNorm > 0 && !dialect.clipsNorm) {
    refusals.push(
      'no clipping of the gradient per update (optimizer.clipNorm: 0, and clip where the server is started)',
    );
  }
  if (alternatives) refusals.push("no alternatives of a teacher's tokens (save.alternatives: 0)");
  return [...refusals, ...(lora ? unsupportedAdapters(lora) : [])];
}

function unsupportedAdapters(lora: LoraShape): string[] {
  const trained = targetsOf(trainedLayers(lora)).length;
  return [
    ...(lora.alpha === alpha ? [] : [`no alpha but ${alpha} (lora.alpha: ${alpha})`]),
    ...(lora.targets.length === trained
      ? []
      : [`adapters only of all of ${attention.join(', ')}, or of ${mlp.join(', ')}, or both (lora.targets)`]),
  ];
}
