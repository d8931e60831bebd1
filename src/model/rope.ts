import { z } from 'zod';
import { UserError } from '../errors.ts';
import { firstIssue } from '../schema.ts';
import { Tensor, unscoped } from '../tensor/tensor.ts';

/** Rotary position embeddings of the whole head, and what is done to them for texts longer than those of the first training. */

/** Of transformers, where `config.json` does not say. */
const defaultTheta = 10_000;

const positive = z.number().positive();
const positions = z.int().min(1);
const factor = z.number().min(1);

const scalings = {
  default: z.object({}),
  /** All frequencies divided by one factor (arXiv 2306.15595). */
  linear: z.object({ factor }),
  /** Only waves that are long beside the first training's texts; those between long and short ones by degrees (Llama 3.1). */
  llama3: z
    .object({
      factor,
      low_freq_factor: positive,
      high_freq_factor: positive,
      original_max_position_embeddings: positions.optional(),
    })
    .refine(rope => rope.high_freq_factor > rope.low_freq_factor, 'high_freq_factor must be above low_freq_factor'),
  /** By how often a wave turns in one of the first training's texts; cosines and sines become larger (arXiv 2309.00071). */
  yarn: z.object({
    factor: factor.nullish(),
    original_max_position_embeddings: positions.optional(),
    beta_fast: positive.nullish(),
    beta_slow: positive.nullish(),
    truncate: z.boolean().default(true),
    attention_factor: positive.nullish(),
    mscale: z.number().nullish(),
    mscale_all_dim: z.number().nullish(),
  }),
};

type ScalingType = keyof typeof scalings;

/** The keys are those of transformers. */
export type RopeScaling = {
  [Type in Exclude<ScalingType, 'default'>]: { type: Type } & z.output<(typeof scalings)[Type]>;
}[Exclude<ScalingType, 'default'>];

const parameters = z.looseObject({}, 'must be null or an object').nullish();

/** How `config.json` speaks of the rotary embedding: transformers 4 by the first two, 5 by the last. */
export const ropeKeys = { rope_theta: positive.optional(), rope_scaling: parameters, rope_parameters: parameters };

/** The rotary embedding of a model. */
export interface Rope {
  ropeTheta: number;
  ropeScaling?: RopeScaling;
}

type RopeShape = Rope & { headDim: number; maxPositions: number };

/**
 * Parameters may be told by kinds of layers, of which all here are of full attention.
 * @throws UserError naming the key at fault.
 */
export function parseRope(config: z.output<z.ZodObject<typeof ropeKeys>>, source: string): Rope {
  const key = config.rope_scaling ? 'rope_scaling' : 'rope_parameters';
  const refuse = (what: string): never => {
    throw new UserError(`${source}: ${key}: ${what}`);
  };
  const common = config[key] ?? {};
  const own: Record<string, unknown> = { ...common, ...(common.full_attention as object | undefined) };
  const type = own.rope_type ?? own.type ?? 'default';
  if (!isSupported(type)) return refuse(`rope_type is ${JSON.stringify(type)}; supported: ${Object.keys(scalings)}`);
  if ((own.partial_rotary_factor ?? 1) !== 1) refuse('partial_rotary_factor must be 1: of the whole head');
  const theta = ropeKeys.rope_theta.safeParse(own.rope_theta ?? config.rope_theta);
  if (!theta.success) return refuse(`rope_theta: ${firstIssue(theta.error)}`);
  if (theta.data === undefined && config.rope_parameters) {
    refuse('rope_theta is missing, of all layers or of full_attention');
  }
  const scaling = scalings[type].safeParse(own);
  if (!scaling.success) return refuse(firstIssue(scaling.error));
  return {
    ropeTheta: theta.data ?? defaultTheta,
    ...(type !== 'default' && { ropeScaling: { type, ...scaling.data } as RopeScaling }),
  };
}

function isSupported(type: unknown): type is ScalingType {
  return Object.hasOwn(scalings, String(type));
}

/** Cosines and sines [positions, headDim] of the rotary embedding, frequencies θ^(−2i/d) (arXiv 2104.09864), scaled. */
export function rotaryTable(config: RopeShape, positions: number): Tensor {
  const { headDim } = config;
  const half = headDim / 2;
  const { frequencies, magnitude } = rotation(config);
  const table = new Float32Array(positions * headDim);
  frequencies.forEach((frequency, i) => {
    for (let position = 0; position < positions; position++) {
      table[position * headDim + i] = magnitude * Math.cos(position * frequency);
      table[position * headDim + half + i] = magnitude * Math.sin(position * frequency);
    }
  });
  return unscoped(() => Tensor.from(table, [positions, headDim]));
}

/** The angle by which each pair of dimensions turns from one position to the next, and the length of a turned unit vector. */
export function rotation(config: RopeShape): { frequencies: number[]; magnitude: number } {
  const { headDim, ropeTheta, ropeScaling: scaling, maxPositions } = config;
  const half = headDim / 2;
  const frequencies = Array.from({ length: half }, (_, i) => ropeTheta ** (-i / half));
  if (!scaling) return { frequencies, magnitude: 1 };
  if (scaling.type === 'linear') return { frequencies: frequencies.map(f => f / scaling.factor), magnitude: 1 };
  const original = scaling.original_max_position_embeddings ?? maxPositions;
  if (scaling.type === 'llama3') {
    const { factor, low_freq_factor: low, high_freq_factor: high } = scaling;
    const kept = frequencies.map(f => within((original * f) / (2 * Math.PI), low, high));
    return { frequencies: mixed(frequencies, kept, factor), magnitude: 1 };
  }
  const factor = scaling.factor ?? Math.max(1, maxPositions / original);
  const dimension = (turns: number) => (half * Math.log(original / (turns * 2 * Math.PI))) / Math.log(ropeTheta);
  const bounds = [dimension(scaling.beta_fast ?? 32), dimension(scaling.beta_slow ?? 1)];
  const [first, last] = scaling.truncate ? [Math.floor(bounds[0]), Math.ceil(bounds[1])] : bounds;
  const [from, to] = [Math.max(first, 0), Math.min(last, headDim - 1)];
  const kept = frequencies.map((_, i) => 1 - within(i, from, to === from ? to + 0.001 : to));
  return { frequencies: mixed(frequencies, kept, factor), magnitude: yarnMagnitude(scaling, factor) };
}

/** How far a value is on its way from one bound to the other: 0 before, 1 behind. */
function within(value: number, from: number, to: number): number {
  return Math.min(1, Math.max(0, (value - from) / (to - from)));
}

/** Each frequency where its share is 1, divided by `factor` where it is 0. */
function mixed(frequencies: number[], shares: number[], factor: number): number[] {
  return frequencies.map((frequency, i) => frequency * shares[i] + (frequency / factor) * (1 - shares[i]));
}

function yarnMagnitude(scaling: Extract<RopeScaling, { type: 'yarn' }>, factor: number): number {
  const { attention_factor, mscale, mscale_all_dim } = scaling;
  const grown = (by: number) => 0.1 * by * Math.log(factor) + 1;
  return attention_factor ?? (mscale && mscale_all_dim ? grown(mscale) / grown(mscale_all_dim) : grown(1));
}
