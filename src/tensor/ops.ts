import { device } from './currentDevice.ts';
import type { Attended, Rotation } from './device.ts';
import type { Tape } from './tape.ts';
import { type BlockMatrix, type PackedWeight, Tensor } from './tensor.ts';

/**
 * One typed function a kernel. With a tape, an operation records its backward pass; without, it only computes.
 * `n` is the number of rows (tokens) of a pack throughout; activations are f32 or bf16, the residual stream is f32.
 */

/** A norm's weight [h] or [d], or a bias; `grad` where it is trained. */
export interface Vector {
  weight: Tensor;
  grad?: Tensor;
}

/** A linear map's weight [rows, columns]; `backward` where gradients go through it, `grad` where it is trained. */
export interface Linear {
  forward: PackedWeight;
  backward?: PackedWeight;
  grad?: Tensor;
  /** Whether `grad` is known to be zero: the next product writes it then, which is faster than adding to it. */
  blank?: boolean;
  adapter?: Adapter;
  /** In its place, where rows have different ones; no gradients go through these. */
  rowAdapters?: RowAdapter[];
}

/** What is added to a linear map of one or more parts, one below another: scale · B A of each part (LoRA, arXiv 2106.09685). */
export interface Adapter {
  /** The parts' A, one below another: [Σ rank, columns]. */
  down: Linear;
  ups: AdapterPart[];
  scale: number;
}

export interface AdapterPart {
  /** B, [rows of the part, rank]. */
  up: Linear;
  /** Where the part begins in the outputs of the map, and in those of `down`. */
  row: number;
  downRow: number;
}

/** What is added for rows of a batch: for so many, from `first` on. */
export interface RowAdapter {
  adapter: Adapter;
  first: number;
  rows: number;
}

/** Whether the next product adds to the gradient of `weight`, which is not blank any more. */
function addsToGradient(weight: Linear): boolean {
  const { blank } = weight;
  weight.blank = false;
  return !blank;
}

/** Token by token, a row of numbers each; `grad` where they are trained. */
export interface EmbeddingTable {
  weight: Tensor | BlockMatrix | PackedWeight;
  grad?: Tensor;
}

/** Rows of `table` [vocab, h] → [n, h] f32. */
export function embedding(tape: Tape | undefined, table: EmbeddingTable, ids: Tensor): Tensor {
  const { weight, grad } = table;
  const y = Tensor.allocate('f32', [ids.size, weight.shape[1]]);
  device().embedding(y.id, weight.id, ids.id);
  tape?.record([y], () => grad && device().embeddingBackward(grad.id, tape.gradient(y).id, ids.id));
  if (!grad) tape?.markConstant(y);
  return y;
}

/**
 * s = x + delta, y = s / rms(s) · weight. `x` [n, h] f32 is the residual stream, `delta` a sublayer's output, freed once it is
 * added, or nothing.
 * @returns the stream after the addition and its norm in `dtype`
 */
export function addRmsNorm(
  tape: Tape | undefined,
  x: Tensor,
  delta: Tensor | undefined,
  gain: Vector,
  epsilon: number,
  dtype: 'f32' | 'bf16',
): { sum: Tensor; normed: Tensor } {
  const [n] = x.shape;
  const normed = Tensor.allocate(dtype, x.shape);
  const rstd = tape && Tensor.allocate('f32', [n]);
  const sum = delta ? Tensor.allocate('f32', x.shape) : x;
  device().rmsNorm(normed.id, rstd?.id, delta ? sum.id : null, x.id, delta?.id, gain.weight.id, epsilon);
  delta?.free();
  const isConstant = tape?.isConstant(x) && !delta && !gain.grad;
  if (isConstant) tape?.markConstant(normed);
  tape?.record(delta ? [normed, rstd!, sum] : [normed, rstd!], () => {
    if (isConstant) return;
    const dsum = tape.takeResidual(sum);
    device().rmsNormBackward(dsum.id, gain.grad?.id, tape.gradient(normed).id, sum.id, rstd!.id, gain.weight.id);
    tape.give(x, dsum);
    if (delta) {
      if (dtype === 'f32') tape.give(delta, dsum, { lent: true });
      else tape.give(delta, dsum.converted(dtype));
    }
  });
  return { sum, normed };
}

/**
 * y = x Wᵀ: [n, columns] → [n, rows]. With `again`, which computes x once more, x is freed until the backward pass needs it:
 * for what costs little to compute and much to keep.
 */
export function linear(tape: Tape | undefined, x: Tensor, weight: Linear, again?: () => Tensor): Tensor {
  const { adapter } = weight;
  const y = Tensor.allocate(x.dtype, [x.shape[0], weight.forward.shape[0]]);
  device().linear(y.id, x.id, weight.forward.id);
  const low = adapter && addAdapter(y, x, adapter);
  for (const part of weight.rowAdapters ?? []) addAdapter(rowsOf(y, part), rowsOf(x, part), part.adapter);
  if (again) x.free();
  if (!tape) low?.free();
  tape?.record(low ? [y, low] : [y], () => {
    const dy = tape.gradient(y);
    const dx = tape.isConstant(x) ? undefined : Tensor.allocate(x.dtype, x.shape);
    if (dx) device().linearBackward(dx.id, dy.id, weight.backward!.id);
    if (weight.grad || adapter) {
      const input = again?.() ?? x;
      if (weight.grad) device().linearWeightGrad(weight.grad.id, dy.id, input.id, addsToGradient(weight));
      if (adapter) adapterBackward(dx, dy, input, low!, adapter);
      if (again) input.free();
    }
    if (dx) tape.give(x, dx);
  });
  return y;
}

function rowsOf(x: Tensor, { first, rows }: RowAdapter): Tensor {
  const width = x.shape[1];
  return x.view(first * width, [rows, width]);
}

/** y += scale · (x Aᵀ) Bᵀ, part by part. @returns scale · x Aᵀ, [n, Σ rank] */
function addAdapter(y: Tensor, x: Tensor, { down, ups, scale }: Adapter): Tensor {
  const low = Tensor.allocate(x.dtype, [x.shape[0], down.forward.shape[0]]);
  device().linear(low.id, x.id, down.forward.id);
  if (scale !== 1) device().scale(low.id, scale);
  for (const { up, row, downRow } of ups) device().columnsProduct(y.id, row, low.id, downRow, up.forward.id, true);
  return low;
}

/** dx += scale · dy B A, where it is asked for, and the gradients of A and B. */
function adapterBackward(
  dx: Tensor | undefined,
  dy: Tensor,
  x: Tensor,
  low: Tensor,
  { down, ups, scale }: Adapter,
): void {
  const dlow = Tensor.allocate(low.dtype, low.shape);
  for (const { up, row, downRow } of ups) {
    device().columnsProduct(dlow.id, downRow, dy.id, row, up.backward!.id, false);
    device().columnsWeightGrad(up.grad!.id, dy.id, row, low.id, downRow, addsToGradient(up));
  }
  device().scale(dlow.id, scale);
  if (dx) device().columnsProduct(dx.id, 0, dlow.id, 0, down.backward!.id, true);
  device().linearWeightGrad(down.grad!.id, dlow.id, x.id, addsToGradient(down));
  dlow.free();
}

/** Adds `bias` [width] to every row of x [n, width], in place. */
export function addBias(tape: Tape | undefined, x: Tensor, bias: Vector): void {
  const { weight, grad } = bias;
  device().addBias(x.id, weight.id);
  if (grad) tape?.record([], () => device().biasGradient(grad.id, tape.gradient(x).id));
}

export interface RotaryShape {
  heads: number;
  kvHeads: number;
  epsilon: number;
}

/**
 * RMS norm of each query and key head where there are `norms`, then rotary embedding at `positions` [n]. `qkv` is [n, (heads + 2·kvHeads)·d];
 * `table` [positions, d] holds cosines, then sines.
 * @returns queries and keys, [n, (heads + kvHeads)·d]; values stay in `qkv`
 */
export function qkNormRope(
  tape: Tape | undefined,
  qkv: Tensor,
  norms: { query: Vector; key: Vector } | undefined,
  table: Tensor,
  positions: Tensor,
  { heads, kvHeads, epsilon }: RotaryShape,
): Tensor {
  const d = table.shape[1];
  const y = Tensor.allocate(qkv.dtype, [qkv.shape[0], (heads + kvHeads) * d]);
  const gains = [norms?.query, norms?.key];
  const [query, key] = gains.map(gain => gain?.weight.id);
  const rotation: Rotation = [query, key, table.id, positions.id, heads, kvHeads, epsilon];
  device().qkNormRope(y.id, qkv.id, ...rotation);
  tape?.record([y], () => {
    const dqkv = tape.sharedGradient(qkv);
    const [dquery, dkey] = gains.map(gain => gain?.grad?.id);
    device().qkNormRopeBackward(dqkv.id, dquery, dkey, tape.gradient(y).id, qkv.id, ...rotation);
  });
  return y;
}

export interface HeadShape {
  heads: number;
  kvHeads: number;
}

/**
 * Causal grouped-query attention within packed segments and their ancestors.
 * @param segments [count, 3] i32: first row, rows, index of the parent segment or -1
 * @returns [n, heads·d]
 */
export function attention(
  tape: Tape | undefined,
  qk: Tensor,
  qkv: Tensor,
  segments: Tensor,
  { heads, kvHeads }: HeadShape,
): Tensor {
  const [n, width] = qk.shape;
  const out = Tensor.allocate(qk.dtype, [n, (width / (heads + kvHeads)) * heads]);
  const lse = Tensor.allocate('f32', [n, heads]);
  const inputs: Attended = [qk.id, qkv.id, segments.id, heads, kvHeads];
  device().attention(out.id, lse.id, ...inputs);
  tape?.record([out, lse], () => {
    const dqk = Tensor.allocate(qk.dtype, qk.shape);
    const dqkv = tape.sharedGradient(qkv);
    device().attentionBackward(dqk.id, dqkv.id, tape.gradient(out).id, out.id, lse.id, ...inputs);
    tape.give(qk, dqk);
  });
  return out;
}

/** One layer's pages: [pages, kvHeads, d·tokens a page] each. */
export interface LayerCache {
  keys: Tensor;
  values: Tensor;
}

/**
 * Stores the new keys and values in the cache and attends over each sequence's pages.
 * @param sequences [count, 3] i32: first row, rows, tokens already cached
 * @param pageTable [count, most] i32: the pages of each sequence in order
 * @returns [n, heads·d]
 */
export function cachedAttention(
  qk: Tensor,
  qkv: Tensor,
  cache: LayerCache,
  sequences: Tensor,
  pageTable: Tensor,
  { heads, kvHeads }: HeadShape,
): Tensor {
  const [n, width] = qk.shape;
  const out = Tensor.allocate(qk.dtype, [n, (width / (heads + kvHeads)) * heads]);
  device().cachedAttention(
    out.id,
    qk.id,
    qkv.id,
    cache.keys.id,
    cache.values.id,
    sequences.id,
    pageTable.id,
    heads,
    kvHeads,
  );
  return out;
}

/** Rows `rows` [m], which increase, of x [n, width] → [m, width]. */
export function selectRows(tape: Tape | undefined, x: Tensor, rows: Tensor): Tensor {
  const y = Tensor.allocate(x.dtype, [rows.size, x.shape[1]]);
  device().selectRows(y.id, x.id, rows.id);
  tape?.record([y], () => {
    const dx = Tensor.allocate(x.dtype, x.shape);
    device().selectRowsBackward(dx.id, tape.gradient(y).id, rows.id);
    tape.give(x, dx);
  });
  return y;
}

/** silu(gate) · up for `gateUp` [n, 2m] → [n, m]. */
export function swiglu(tape: Tape | undefined, gateUp: Tensor): Tensor {
  const [n, width] = gateUp.shape;
  const y = Tensor.allocate(gateUp.dtype, [n, width / 2]);
  device().swiglu(y.id, gateUp.id);
  tape?.record([y], () => {
    const dgateUp = Tensor.allocate(gateUp.dtype, gateUp.shape);
    device().swigluBackward(dgateUp.id, tape.gradient(y).id, gateUp.id);
    tape.give(gateUp, dgateUp);
  });
  return y;
}

/**
 * Log-probability and predictive entropy of `targets` [m] at `rows` [m] of `x` [n, h]. The logits exist only block by block;
 * with a tape, their exponentials are kept in the precision of `x`.
 * With a tape, `setGradient(dlogprobs)` must be called before `tape.backward()`: one number a target.
 */
export function lmHead(tape: Tape | undefined, x: Tensor, rows: Tensor, targets: Tensor, weight: Linear) {
  const m = rows.size;
  const [vocab] = weight.forward.shape;
  const [logprobs, entropies] = [0, 1].map(() => Tensor.allocate('f32', [m]));
  const kept = tape && Tensor.allocate(x.dtype, [m, vocab]);
  const scales = tape && Tensor.allocate('f32', [m, weight.forward.chunks]);
  device().lmHead(logprobs.id, entropies.id, kept?.id, scales?.id, x.id, rows.id, targets.id, weight.forward.id);
  tape?.record([logprobs, entropies, kept!, scales!], () => {
    const dx = Tensor.zeros('f32', x.shape);
    device().lmHeadBackward(
      dx.id,
      weight.grad?.id,
      tape.gradient(logprobs).id,
      kept!.id,
      scales!.id,
      x.id,
      rows.id,
      targets.id,
      weight.backward!.id,
      addsToGradient(weight),
    );
    tape.give(x, dx);
  });
  return {
    logprobs,
    entropies,
    setGradient: (dlogprobs: Float32Array) => tape!.give(logprobs, Tensor.from(dlogprobs)),
  };
}

/** All logits [m, vocab] f32 of `x` [m, h]: for sampling. */
export function lmHeadLogits(x: Tensor, weight: Linear): Tensor {
  const logits = Tensor.allocate('f32', [x.shape[0], weight.forward.shape[0]]);
  device().lmHeadLogits(logits.id, x.id, weight.forward.id);
  return logits;
}

/** How each row's token is drawn; all arrays have one entry a row. */
export interface Draws {
  temperatures: Float32Array;
  topPs: Float32Array;
  topKs: Int32Array;
  /** In [0, 1): the only chance. */
  uniforms: Float32Array;
  /** A bit for each token that the row may draw; undefined: any. */
  masks?: (Int32Array | undefined)[];
}

/** A token from each row of `logits` and its log-probability at temperature 1, uncut and unmasked. */
export function sample(logits: Tensor, draws: Draws): { tokens: Int32Array; logprobs: Float32Array } {
  const rows = logits.shape[0];
  const tokens = Tensor.allocate('i32', [rows]);
  const logprobs = Tensor.allocate('f32', [rows]);
  const [temperatures, topPs, topKs, uniforms] = [draws.temperatures, draws.topPs, draws.topKs, draws.uniforms].map(
    data => Tensor.from(data).id,
  );
  const [masks, maskOf] = maskTensors(draws.masks);
  device().sample(tokens.id, logprobs.id, logits.id, temperatures, topPs, topKs, uniforms, masks, maskOf);
  return { tokens: tokens.ints(), logprobs: logprobs.floats() };
}

/** The different masks one below another, and which of them each row has. */
function maskTensors(masks: Draws['masks']): (number | null)[] {
  const different = [...new Set(masks)].filter(mask => mask !== undefined);
  if (!masks || different.length === 0) return [null, null];
  const words = different[0].length;
  const all = new Int32Array(different.length * words);
  for (const [i, mask] of different.entries()) all.set(mask, i * words);
  const maskOf = Int32Array.from(masks, mask => (mask ? different.indexOf(mask) : -1));
  return [Tensor.from(all, [different.length, words]).id, Tensor.from(maskOf).id];
}

/** What `topTokens` says; row-major. */
export interface TopTokens {
  /** [m, k], the most probable first. */
  tokens: Int32Array;
  logprobs: Float32Array;
  /** [m]: 1 where a target is the most probable token. */
  targetRanks: Int32Array;
  targetLogprobs: Float32Array;
}

/** The `k` most probable tokens of each row of `logits` [m, vocab], and where each row's target stands among all. */
export function topTokens(logits: Tensor, k: number, targets: Int32Array): TopTokens {
  const m = logits.shape[0];
  const tokens = Tensor.allocate('i32', [m, k]);
  const logprobs = Tensor.allocate('f32', [m, k]);
  const targetRanks = Tensor.allocate('i32', [m]);
  const targetLogprobs = Tensor.allocate('f32', [m]);
  device().topTokens(tokens.id, logprobs.id, targetRanks.id, targetLogprobs.id, logits.id, Tensor.from(targets).id);
  return {
    tokens: tokens.ints(),
    logprobs: logprobs.floats(),
    targetRanks: targetRanks.ints(),
    targetLogprobs: targetLogprobs.floats(),
  };
}

export function copyPage(cache: LayerCache, to: number, from: number): void {
  device().copyPage(cache.keys.id, to, from);
  device().copyPage(cache.values.id, to, from);
}

/** √Σ g² over flat storage. */
export function globalNorm(gradient: Tensor): number {
  return Math.sqrt(device().sumSquares(gradient.id));
}

export interface AdamState {
  parameters: Tensor;
  gradients: Tensor;
  firstMoments: Tensor;
  secondMoments: Tensor;
}

/** One AdamW update over flat f32 storage (arXiv 1711.05101), gradients scaled by `gradScale` first and cleared after. */
export function adamw(
  state: AdamState,
  step: number,
  options: { learningRate: number; betas: [number, number]; epsilon: number; weightDecay: number; gradScale: number },
): void {
  const { parameters, gradients, firstMoments, secondMoments } = state;
  const { learningRate, betas, epsilon, weightDecay, gradScale } = options;
  const { id } = parameters;
  const [g, m, v] = [gradients.id, firstMoments.id, secondMoments.id];
  device().adamw(id, g, m, v, step, learningRate, betas[0], betas[1], epsilon, weightDecay, gradScale);
}
