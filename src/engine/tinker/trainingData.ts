import type { Datum, LossSpec } from '../types.ts';
import type { Dialect } from './dialect.ts';
import { bytesOf, dtypes, int64Bytes, type WireDatum, type WireTensor } from './messages.ts';

/**
 * A sequence as it goes over the wire: its tokens but the last as input, its tokens but the first as targets, so that entry i of
 * every array belongs to token i + 1. Its coefficients are encoded for what the server makes of them.
 * @param sequences of the whole update
 */
export function wireDatum(datum: Datum, loss: LossSpec, dialect: Dialect, sequences: number): WireDatum {
  const { tokens, weights, advantages, behaviourLogprobs } = datum;
  const length = tokens.length - 1;
  const targets: WireTensor = { dense: int64Bytes(tokens.slice(1)), dtype: dtypes.int64, shape: [length] };
  const floats = (values: Float32Array): WireTensor => ({
    dense: bytesOf(values.slice(1)),
    dtype: dtypes.float32,
    shape: [length],
  });
  return {
    modelInput: [{ encodedText: { tokens: bytesOf(Int32Array.from(tokens.slice(0, -1))) } }],
    lossFnInputs:
      loss.kind === 'cross_entropy'
        ? { target_tokens: targets, weights: floats(weights) }
        : {
            target_tokens: targets,
            logprobs: floats(behaviourLogprobs!),
            ...(dialect.takesWeights
              ? { weights: floats(weights), advantages: floats(advantages!) }
              : {
                  advantages: floats(
                    weighted(advantages!, weights, dialect.reduction === 'sum' ? 1 : length * sequences),
                  ),
                }),
          },
  };
}

/** Advantages that count for their weights; `scale` undoes the means that a server takes. */
function weighted(advantages: Float32Array, weights: Float32Array, scale: number): Float32Array {
  return advantages.map((advantage, t) => advantage * weights[t] * scale);
}

/** A loss's settings by their names on the wire: thresholds are bounds of the ratio. */
export function lossConfig(loss: LossSpec): Record<string, number> {
  if (loss.kind !== 'ppo') return {};
  const { clipLow, clipHigh, dualClip } = loss;
  return {
    clip_low_threshold: 1 - clipLow,
    clip_high_threshold: 1 + clipHigh,
    ...(dualClip !== 'off' && { dual_clip: dualClip }),
  };
}

/** Bytes of a token and its target, and of three numbers beside them. */
const bytesPerToken = 4 + 8 + 3 * 4;

/** Training data in as few requests as a server takes them in; what they add up to is the same. */
export function divide(data: readonly Datum[], { mostSequences, mostBytes }: Dialect): Datum[][] {
  const parts: Datum[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const datum of data) {
    const more = datum.tokens.length * bytesPerToken;
    if (bytes + more > mostBytes || parts.at(-1)!.length === mostSequences) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(datum);
    bytes += more;
  }
  return parts;
}
