import { UserError } from '../errors.ts';
import { type ModelConfig, parseConfig } from '../model/config.ts';
import { rotation } from '../model/rope.ts';
import type { Metadata } from './file.ts';
import type { MetadataValue } from './header.ts';

/**
 * How GGUF tells that a model's positions are scaled: linear and YaRN by metadata; what Llama 3 does by a tensor of factors that
 * divide the frequencies, which llama.cpp looks for in models of that family alone.
 */
export const factorsName = 'rope_freqs.weight';

/** Keys without the architecture before them. @throws UserError where llama.cpp has no words for it. */
export function scalingMetadata(config: ModelConfig): Metadata {
  const { ropeScaling: scaling, maxPositions } = config;
  if (!scaling || scaling.type === 'llama3') return [];
  const original = (scaling.type === 'yarn' && scaling.original_max_position_embeddings) || maxPositions;
  const factor = scaling.factor ?? maxPositions / original;
  const common: Metadata = [
    ['rope.scaling.type', 'string', scaling.type],
    ['rope.scaling.factor', 'f32', factor],
  ];
  if (scaling.type === 'linear') return common;
  if (!scaling.truncate)
    throw new UserError('positions scaled by YaRN with "truncate": false cannot be written as GGUF');
  const more = {
    attn_factor: rotation(config).magnitude / yarnMagnitude(factor),
    yarn_beta_fast: scaling.beta_fast,
    yarn_beta_slow: scaling.beta_slow,
  };
  return [
    ...common,
    ['rope.scaling.original_context_length', 'u32', original],
    ...Object.entries(more).flatMap(([key, value]): Metadata => (value ? [[`rope.scaling.${key}`, 'f32', value]] : [])),
  ];
}

/**
 * What `config.json` would say as `rope_scaling`.
 * @param value of a key without the architecture before it
 * @throws UserError where it is none of the ways that are computed here.
 */
export function readScaling(
  path: string,
  value: (key: string) => MetadataValue | undefined,
): Record<string, unknown> | undefined {
  const type = value('rope.scaling.type') ?? 'linear';
  const factor = value('rope.scaling.factor') ?? value('rope.scale_linear') ?? 0;
  // So does llama.cpp: 0 is no factor.
  if (type === 'none' || (type === 'linear' && (factor === 0 || factor === 1))) return undefined;
  if (type === 'linear') return { rope_type: 'linear', factor };
  if (type !== 'yarn' || value('rope.scaling.yarn_log_multiplier')) {
    throw new UserError(
      `${path}: its positions are scaled in another way than linear or YaRN: rope.scaling.type is ${JSON.stringify(type)}. ` +
        'Take a file without it',
    );
  }
  const attention = value('rope.scaling.attn_factor');
  return {
    rope_type: 'yarn',
    factor,
    original_max_position_embeddings: value('rope.scaling.original_context_length'),
    beta_fast: value('rope.scaling.yarn_beta_fast'),
    beta_slow: value('rope.scaling.yarn_beta_slow'),
    attention_factor: typeof attention === 'number' ? attention * yarnMagnitude(Number(factor)) : undefined,
  };
}

function yarnMagnitude(factor: number): number {
  return 1 + 0.1 * Math.log(factor);
}

/** By what `llama3` divides each of the frequencies. */
export function frequencyFactors(config: ModelConfig): Float32Array<ArrayBuffer> {
  const { frequencies } = rotation(config);
  const plain = rotation({ ...config, ropeScaling: undefined }).frequencies;
  return Float32Array.from(plain, (frequency, i) => frequency / frequencies[i]);
}

/**
 * The config whose `llama3` scaling divides by these factors. Between the waves that are kept and those that are divided by the
 * largest factor, the share that is kept grows evenly with the frequency: two of them tell all. Whether a wave is long
 * is a matter of its ratio to the first training's texts, so that `low_freq_factor` is 1, as it always is.
 * @throws UserError where there are no such numbers.
 */
export function withFactors(path: string, config: ModelConfig, factors: Float32Array): ModelConfig {
  const { frequencies } = rotation(config);
  const factor = Math.max(...factors);
  const shares = Array.from(factors, divisor => (1 / divisor - 1 / factor) / (1 - 1 / factor));
  const between = shares.flatMap((share, i) => (share > 0.001 && share < 0.999 ? [i] : []));
  const [first, last] = [between[0], between.at(-1)];
  if (first !== undefined && last !== undefined && first < last) {
    const slope = (shares[first] - shares[last]) / (frequencies[first] - frequencies[last]);
    const offset = slope * frequencies[first] - shares[first];
    const rope_scaling = {
      rope_type: 'llama3',
      factor,
      low_freq_factor: 1,
      high_freq_factor: Number((1 + 1 / offset).toPrecision(5)),
      original_max_position_embeddings: Math.round((2 * Math.PI * slope) / offset),
    };
    const scaled = parseConfig({ ...config.raw, rope_scaling }, path);
    if (frequencyFactors(scaled).every((own, i) => Math.abs(own / factors[i] - 1) < 1e-3)) return scaled;
  }
  throw new UserError(`${path}: ${factorsName} holds other factors than those of Llama 3; take a file without it`);
}
