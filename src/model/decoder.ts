import { addBias, addRmsNorm, embedding, linear, qkNormRope, selectRows, swiglu, type Vector } from '../tensor/ops.ts';
import { type Pieces, whole } from '../tensor/pieces.ts';
import type { Tape } from '../tensor/tape.ts';
import { scope, Tensor } from '../tensor/tensor.ts';
import type { Weights } from './weights.ts';

/** Attention of one layer: queries and keys [n, …] and fused qkv (for its values) to [n, heads·d]; packed or cached. */
export type Attend = (layer: number, qk: Tensor, qkv: Tensor, tape?: Tape) => Tensor;

export interface DecodeOptions {
  /** Rows that are asked for, increasing; the last layer computes no more than keys and values for the others. Default: all. */
  rows?: Int32Array;
  tape?: Tape;
  /** With a tape: whether it keeps only what goes from one layer to the next, and the backward pass computes each layer once more. */
  recompute?: boolean;
}

/**
 * The decoder up to its final norm: token ids [n] at positions [n] → [rows, hidden] in the precision of activations.
 * Training, scoring and generation differ only in `attend`, in the rows they want and in whether a tape is kept.
 */
export function decode(...given: Parameters<typeof decodeByLayer>): Tensor {
  return whole(decodeByLayer(...given));
}

/** `decode` in pieces: a layer each. */
export function* decodeByLayer(
  weights: Weights,
  rotary: Tensor,
  ids: Int32Array,
  positions: Int32Array,
  attend: Attend,
  { rows, tape, recompute }: DecodeOptions = {},
): Pieces<Tensor> {
  const { config, activations: dtype } = weights;
  const epsilon = config.rmsNormEps;
  const at = Tensor.from(positions);
  const wanted = rows && rows.length < ids.length ? Tensor.from(rows) : undefined;
  const heads = { heads: config.heads, kvHeads: config.kvHeads, epsilon };
  /** The stream before a layer's second sublayer, and what that adds to it. */
  const compute = (index: number, tape: Tape | undefined, [stream, delta]: Tensor[]): Tensor[] => {
    const layer = weights.layers[index];
    // What a norm gave is cheap to compute once more from the stream, and not kept for the backward pass.
    const again = (sum: Tensor, gain: Vector) =>
      tape && (() => scope(() => addRmsNorm(undefined, sum, undefined, gain, epsilon, dtype).normed));
    const attentionIn = addRmsNorm(tape, stream, delta, layer.attentionNorm, epsilon, dtype);
    const qkv = linear(tape, attentionIn.normed, layer.qkv, again(attentionIn.sum, layer.attentionNorm));
    if (layer.qkvBias) addBias(tape, qkv, layer.qkvBias);
    const qk = qkNormRope(tape, qkv, layer.headNorms, rotary, at, heads);
    const select = (x: Tensor) => (wanted && index === config.layers - 1 ? selectRows(tape, x, wanted) : x);
    const [attended, residual] = [select(attend(index, qk, qkv, tape)), select(attentionIn.sum)];
    const out = linear(tape, attended, layer.attentionOut);
    if (layer.attentionOutBias) addBias(tape, out, layer.attentionOutBias);
    const mlpIn = addRmsNorm(tape, residual, out, layer.mlpNorm, epsilon, dtype);
    const gateUp = linear(tape, mlpIn.normed, layer.gateUp, again(mlpIn.sum, layer.mlpNorm));
    const mlp = linear(tape, swiglu(tape, gateUp), layer.down, tape && (() => swiglu(undefined, gateUp)));
    return [mlpIn.sum, mlp];
  };
  let between = [embedding(tape, weights.embedding, Tensor.from(ids))];
  for (const index of weights.layers.keys()) {
    const before = between;
    if (!tape) {
      between = scope(() => compute(index, tape, before));
      for (const tensor of before) tensor.free();
    } else if (recompute) {
      between = tape.recomputed(before, (tape, before) => compute(index, tape, before));
    } else {
      between = compute(index, tape, before);
    }
    yield;
  }
  const [stream, delta] = between;
  return addRmsNorm(tape, stream, delta, weights.finalNorm, epsilon, dtype).normed;
}
