import type { ModelConfig } from '../../model/config.ts';
import { type Attend, decodeByLayer } from '../../model/decoder.ts';
import type { LoraShape } from '../../model/lora.ts';
import { packSequences } from '../../model/pack.ts';
import type { Weights } from '../../model/weights.ts';
import { attention, lmHead } from '../../tensor/ops.ts';
import { type Pieces, whole } from '../../tensor/pieces.ts';
import type { Tape } from '../../tensor/tape.ts';
import { Tensor } from '../../tensor/tensor.ts';
import type { TokenIds } from '../types.ts';

/** A sequence and where its tokens' log-probabilities are wanted: wherever `wanted` is not 0. */
export interface Target {
  tokens: TokenIds;
  wanted: ArrayLike<number>;
}

export interface PassResult {
  /** Aligned with each sequence's tokens, 0 where nothing was asked. */
  logprobs: Float32Array[];
  entropies: Float32Array[];
  /** The decoder's output where something is wanted, and the row of it that predicts each wanted token, in their order. */
  hidden: Tensor;
  places: Int32Array;
  /** With a tape: hands over d(loss)/d(log-probability), aligned like `logprobs`, and runs the backward pass. */
  backward(gradients: Float32Array[]): void;
}

/** Targets that the LM head takes in a piece. */
const headRows = 512;

/**
 * One packed forward pass over the sequences; the LM head sees only what is wanted.
 * Call inside a `scope`; everything it makes belongs to that scope.
 */
export function pass(...given: Parameters<typeof passByLayer>): PassResult {
  return whole(passByLayer(...given));
}

/**
 * `pass` in pieces: the layers, and without a tape the LM head for some rows at a time.
 * @param keptRows with a tape: of more rows, activations are not kept but computed once more
 */
export function* passByLayer(
  weights: Weights,
  rotary: Tensor,
  targets: readonly Target[],
  tape?: Tape,
  keptRows = Number.POSITIVE_INFINITY,
): Pieces<PassResult> {
  // Nothing behind the last wanted token matters, and the row of the token before it predicts it.
  const inputs = targets.map(({ tokens, wanted }) => tokens.slice(0, Math.max(lastWanted(wanted), 1)));
  const pack = packSequences(inputs);
  const segments = Tensor.from(pack.segments, [pack.segments.length / 3, 3]);
  const shape = { heads: weights.config.heads, kvHeads: weights.config.kvHeads };
  const attend: Attend = (_, qk, qkv, tape) => attention(tape, qk, qkv, segments, shape);
  const wantedRows: number[] = [];
  const ids: number[] = [];
  targets.forEach(({ tokens, wanted }, s) => {
    for (let t = 1; t < tokens.length; t++) {
      if (wanted[t] === 0) continue;
      wantedRows.push(pack.rows[s][t - 1]);
      ids.push(tokens[t]);
    }
  });
  // A row that several sequences share may be wanted by each of them.
  const place = new Int32Array(pack.ids.length);
  for (const row of wantedRows) place[row] = 1;
  const rows: number[] = [];
  place.forEach((wanted, row) => {
    if (wanted) place[row] = rows.push(row) - 1;
  });
  const hidden = yield* decodeByLayer(weights, rotary, pack.ids, pack.positions, attend, {
    rows: Int32Array.from(rows),
    recompute: pack.ids.length > keptRows,
    tape,
  });
  const places = Int32Array.from(wantedRows, row => place[row]);
  const [logprobs, entropies] = [new Float32Array(ids.length), new Float32Array(ids.length)];
  // What is kept for the backward pass is kept in one.
  const together = tape ? Math.max(ids.length, 1) : headRows;
  let head: ReturnType<typeof lmHead>;
  for (let first = 0; first === 0 || first < ids.length; first += together) {
    if (first > 0) yield;
    const rows = Tensor.from(places.slice(first, first + together));
    const targets = Tensor.from(Int32Array.from(ids.slice(first, first + together)));
    head = lmHead(tape, hidden, rows, targets, weights.head);
    logprobs.set(head.logprobs.floats(), first);
    entropies.set(head.entropies.floats(), first);
  }
  return {
    logprobs: spread(targets, logprobs),
    entropies: spread(targets, entropies),
    hidden,
    places,
    backward(gradients) {
      const flat = new Float32Array(ids.length);
      let at = 0;
      targets.forEach(({ tokens, wanted }, s) => {
        for (let t = 1; t < tokens.length; t++) if (wanted[t] !== 0) flat[at++] = gradients[s][t];
      });
      head.setGradient(flat);
      tape!.backward();
    },
  };
}

function lastWanted(wanted: ArrayLike<number>): number {
  let last = wanted.length - 1;
  while (last > 0 && wanted[last] === 0) last--;
  return last;
}

function spread(targets: readonly Target[], flat: Float32Array): Float32Array[] {
  let at = 0;
  return targets.map(({ tokens, wanted }) => {
    const aligned = new Float32Array(tokens.length);
    for (let t = 1; t < tokens.length; t++) if (wanted[t] !== 0) aligned[t] = flat[at++];
    return aligned;
  });
}

/** Cuts sequences, in order, into runs of about `most` packed rows; neighbours with a common prefix count it once. */
export function microBatches<T extends { tokens: TokenIds }>(sequences: readonly T[], most: number): T[][] {
  const batches: T[][] = [];
  let rows = most;
  let previous: TokenIds = [];
  for (const sequence of sequences) {
    const own = sequence.tokens.length - commonPrefix(previous, sequence.tokens);
    if (rows + own > most) {
      batches.push([]);
      rows = sequence.tokens.length;
    } else {
      rows += own;
    }
    batches.at(-1)!.push(sequence);
    previous = sequence.tokens;
  }
  return batches;
}

function commonPrefix(a: TokenIds, b: TokenIds): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}

/** What the activations of a pass depend on beside the model's shape. */
export interface ActivationOptions {
  dtype: 'f32' | 'bf16';
  lora?: LoraShape;
}

/** Bytes that a training pass keeps for each packed row, until its backward pass. */
export function activationBytes(config: ModelConfig, { dtype, lora }: ActivationOptions): number {
  const { layers, hiddenSize, headDim, heads, kvHeads, intermediateSize } = config;
  const stream = 2 * 4 * hiddenSize;
  const attention = (heads + 2 * kvHeads + (heads + kvHeads) + heads) * headDim;
  const gateUp = 2 * intermediateSize;
  const adapters = lora ? lora.rank * lora.targets.length : 0;
  return layers * (stream + (attention + gateUp + adapters) * (dtype === 'bf16' ? 2 : 4));
}

/** The same of a layer in a pass that computes each layer once more: the stream, and what is still to be added to it. */
export function layerBoundaryBytes({ hiddenSize }: ModelConfig, { dtype }: ActivationOptions): number {
  return hiddenSize * (4 + (dtype === 'bf16' ? 2 : 4));
}
