import {
  behindFirst,
  dtypes,
  type ForwardBackwardRequest,
  floatsOf,
  int32sOf,
  int64sOf,
  type WireDatum,
  type WireTensor,
} from '../../engine/tinker/messages.ts';
import type { Datum, LossSpec } from '../../engine/types.ts';
import type { ModelConfig } from '../../model/config.ts';
import { badRequest } from '../apiError.ts';

/**
 * What a client wants to be learned, as the engine takes it. On the wire a sequence is split into inputs and targets: entry i of
 * every array belongs to token i + 1. The policy losses take `weights` as well, by which each token's loss counts.
 * @throws ApiError 400 that names the sequence and what is wrong with it
 */
export function trainingData({ data, lossFn }: ForwardBackwardRequest, model: ModelConfig): Datum[] {
  if (data.length === 0) throw badRequest('data is empty.');
  return data.map((datum, i) => readDatum(datum, lossFn, model, `data[${i}]`));
}

function readDatum({ modelInput, lossFnInputs }: WireDatum, lossFn: string, model: ModelConfig, at: string): Datum {
  const inputs = modelInput.flatMap(({ encodedText }) => {
    if (!encodedText) throw badRequest(`${at}: model_input must be encoded_text: models here read nothing else.`);
    return reading(`${at}: model_input`, () => [...int32sOf(encodedText.tokens)]);
  });
  const targets = numbers(lossFnInputs, 'target_tokens', inputs.length, at);
  if (!targets) throw badRequest(`${at}: target_tokens is missing.`);
  const tokens = [inputs[0], ...targets];
  const moved = inputs.findIndex((token, i) => token !== tokens[i]);
  if (moved >= 0) {
    throw badRequest(
      `${at}: target_tokens[${moved - 1}] is ${tokens[moved]}, and the input that follows it ${inputs[moved]}: ` +
        'targets must be the inputs, one place further.',
    );
  }
  const unknown = tokens.find(token => !(token >= 0 && token < model.vocabSize));
  if (unknown !== undefined) {
    throw badRequest(`${at}: there is no token ${unknown}; this model has tokens 0 to ${model.vocabSize - 1}.`);
  }
  if (tokens.length > model.maxPositions + 1) {
    throw badRequest(`${at}: ${tokens.length} tokens; this model takes ${model.maxPositions + 1}.`);
  }
  const perToken = (name: string) => {
    const values = numbers(lossFnInputs, name, inputs.length, at);
    if (values?.some(value => !Number.isFinite(value))) throw badRequest(`${at}: ${name} holds what is no number.`);
    return values && behindFirst(values);
  };
  const weights = perToken('weights') ?? new Float32Array(tokens.length).fill(1, 1);
  if (lossFn === 'cross_entropy') return { tokens, weights };
  const [advantages, behaviourLogprobs] = [perToken('advantages'), perToken('logprobs')];
  if (!advantages || !behaviourLogprobs) throw badRequest(`${at}: ${lossFn} needs logprobs and advantages.`);
  return { tokens, weights, advantages, behaviourLogprobs };
}

function numbers(
  tensors: Record<string, WireTensor>,
  name: string,
  length: number,
  at: string,
): number[] | Float32Array | Int32Array | undefined {
  if (!Object.hasOwn(tensors, name)) return undefined;
  const { dense, dtype } = tensors[name];
  const values = reading(`${at}: ${name}`, () => {
    if (dtype === dtypes.float32) return floatsOf(dense);
    if (dtype === dtypes.int32) return int32sOf(dense);
    if (dtype === dtypes.int64) return int64sOf(dense);
    throw badRequest(`${at}: ${name} must be dense float32, int32 or int64.`);
  });
  if (values.length === length) return values;
  throw badRequest(`${at}: ${name} has ${values.length} entries, and the input ${length} tokens.`);
}

function reading<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError) throw badRequest(`${what} is no whole number of entries.`);
    throw error;
  }
}

/** Thresholds are bounds of the ratio. `dual_clip` is this server's own. */
const ppoDefaults: Record<string, number | undefined> = { clip_low_threshold: 0.8, clip_high_threshold: 1.2 };

/** @throws ApiError 400 for a loss that is not known here, or one's unknown settings */
export function lossSpec({ lossFn, lossFnConfig, lossFnConfigV2 }: ForwardBackwardRequest): LossSpec {
  const config: Record<string, number | undefined> = { ...lossFnConfig };
  for (const [key, { number }] of Object.entries(lossFnConfigV2)) config[key] = number;
  const known = lossFn === 'ppo' ? [...Object.keys(ppoDefaults), 'dual_clip'] : [];
  const unknown = Object.keys(config).find(key => !known.includes(key) || !Number.isFinite(config[key]));
  if (unknown !== undefined) {
    throw badRequest(`loss_fn_config: ${JSON.stringify(unknown)} is nothing that ${lossFn} takes, or no number.`);
  }
  if (lossFn === 'cross_entropy' || lossFn === 'importance_sampling') return { kind: lossFn };
  if (lossFn !== 'ppo') {
    throw badRequest(
      `loss_fn ${JSON.stringify(lossFn)} is not known here; there are cross_entropy, importance_sampling and ppo.`,
    );
  }
  const { clip_low_threshold: low, clip_high_threshold: high, dual_clip: dualClip } = { ...ppoDefaults, ...config };
  if (!(low! >= 0 && low! <= 1 && high! >= 1)) {
    throw badRequest('loss_fn_config: clip_low_threshold is from 0 to 1, clip_high_threshold from 1 on.');
  }
  if (dualClip !== undefined && !(dualClip > 1)) throw badRequest('loss_fn_config: dual_clip must be above 1.');
  return { kind: 'ppo', clipLow: 1 - low!, clipHigh: high! - 1, dualClip: dualClip ?? 'off' };
}
