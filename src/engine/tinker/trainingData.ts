import type { Datum, LossSpec } from '../types.ts';
import type { Dialect } from './dialect.ts';
import { bytesOf, dtypes, int64Bytes, type WireDatum, type WireTensor } from './messages.ts';

/**
 * A sequence as it goes over the wire: its tokens but the last as input, its tokens but the first as targets, so that entry i of
 * every array belongs to token i + 1. Its coefficients are encoded for what the server makes of them.
 * @param sequences of the whole update
 */
export function wireDatum(datum: Datum, loss: LossSpec, dialect: Dialect, sequences: number): WireDatum {
  const { tokens } = datum;
  const shape = [tokens.length - 1];
  const inputs = lossInputs(datum, loss, dialect, shape[0] * sequences);
  return {
    modelInput: [{ encodedText: { tokens: bytesOf(Int32Array.from(tokens.slice(0, -1))) } }],
    lossFnInputs: {
      target_tokens: { dense: int64Bytes(tokens.slice(1)), dtype: dtypes.int64, shape },
      ...Object.fromEntries(
        Object.entries(inputs).map(([name, values]): [string, WireTensor] => [
          name,
          { dense: bytesOf(values.slice(1)), dtype: dtypes.float32, shape },
        ]),
      ),
    },
  };
}

/**
 * What a loss takes beside targets, as long as the tokens.
 * @param divisor what a server divides a token's part by, where it takes means
 */
function lossInputs(
  { tokens, weights, advantages, behaviourLogprobs }: Datum,
  loss: LossSpec,
  { reduction, takesWeights }: Dialect,
  divisor: number,
): Record<string, Float32Array> {
  const scale = reduction === 'mean' ? divisor : 1;
  if (loss.kind === 'cross_entropy') {
    if (reduction === 'sum') return { weights };
    return { logprobs: new Float32Array(tokens.length), advantages: weights.map(weight => weight * scale) };
  }
  const logprobs = behaviourLogprobs!;
  if (takesWeights) return { logprobs, weights, advantages: advantages! };
  return { logprobs, advantages: advantages!.map((advantage, t) => advantage * weights[t] * scale) };
}

/**
 * A loss by its name and settings on the wire; thresholds are bounds of the ratio. Where a server takes the mean, a cross entropy's
 * weights say only how the tokens of one sequence compare: CISPO (MiniMax 2025) with its ratio held at 1 is the cross entropy
 * whose weights are the advantages, however large.
 */
export function wireLoss(
  loss: LossSpec,
  { reduction }: Dialect,
): { lossFn: string; lossFnConfig: Record<string, number> } {
  if (loss.kind === 'cross_entropy' && reduction === 'mean') {
    return { lossFn: 'cispo', lossFnConfig: { clip_low_threshold: 1, clip_high_threshold: 1 } };
  }
  if (loss.kind !== 'ppo') return { lossFn: loss.kind, lossFnConfig: {} };
  const { clipLow, clipHigh, dualClip } = loss;
  return {
    lossFn: loss.kind,
    lossFnConfig: {
      clip_low_threshold: 1 - clipLow,
      clip_high_threshold: 1 + clipHigh,
      ...(dualClip !== 'off' && { dual_clip: dualClip }),
    },
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
