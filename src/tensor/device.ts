/** What a device calls a tensor or a packed weight; a freed one's number names no other. */
export type Id = number;

/** What computes. */
export interface Device extends Kernels {
  /** What its kernels are compiled for: an instruction set of the CPU, or webgpu. */
  readonly isa: string;
  /** Does so little that threads would wait for one another, where the machine's other cores have something better to do. */
  withOneThread(body: () => void): void;
}

/**
 * The list of kernels. `native/` implements it for the CPU, where shapes are documented beside each kernel and arguments
 * checked; `gpu/` in WGSL. Results come first. Calls of one thread take effect in their order, and `read` waits for what it reads.
 */
export interface Kernels {
  allocate(dtype: string, shape: readonly number[]): Id;
  view(tensor: Id, offset: number, shape: readonly number[]): Id;
  release(id: Id): void;
  zero(tensor: Id): void;
  write(tensor: Id, data: Float32Array | Int32Array | Uint16Array): void;
  read(tensor: Id): Float32Array | Int32Array;
  convert(y: Id, x: Id): void;
  /** Gives back to the system what is kept for the next tensors. */
  trim(): void;

  pack(w: Id, bf16: boolean, backward: boolean, chunkRows: number): Id;
  repack(forward: Id, backward: Id, w: Id): void;
  blockMatrix(bf16: boolean, columns: number, parts: Int32Array): Id;
  writeBlocks(matrix: Id, firstRow: number, bytes: Uint8Array): void;

  linear(y: Id, x: Id, w: Id): void;
  linearBackward(dx: Id, dy: Id, w: Id): void;
  linearWeightGrad(dw: Id, dy: Id, x: Id, add: boolean): void;
  columnsProduct(y: Id, yColumn: number, x: Id, xColumn: number, w: Id, add: boolean): void;
  columnsWeightGrad(dw: Id, dy: Id, dyColumn: number, x: Id, xColumn: number, add: boolean): void;
  scale(x: Id, factor: number): void;
  addBias(x: Id, bias: Id): void;
  biasGradient(dbias: Id, dy: Id): void;

  embedding(y: Id, table: Id, ids: Id): void;
  embeddingBackward(dtable: Id, dy: Id, ids: Id): void;
  rmsNorm(y: Id, rstd: Id | undefined, sum: Id | null, x: Id, delta: Id | undefined, w: Id, epsilon: number): void;
  rmsNormBackward(dx: Id, dw: Id | undefined, dy: Id, x: Id, rstd: Id, w: Id): void;
  qkNormRope(y: Id, qkv: Id, ...rotation: Rotation): void;
  qkNormRopeBackward(dqkv: Id, dwq: Id | undefined, dwk: Id | undefined, dy: Id, qkv: Id, ...rotation: Rotation): void;
  attention(out: Id, lse: Id, ...inputs: Attended): void;
  attentionBackward(dqk: Id, dqkv: Id, dout: Id, out: Id, lse: Id, ...inputs: Attended): void;
  selectRows(y: Id, x: Id, rows: Id): void;
  selectRowsBackward(dx: Id, dy: Id, rows: Id): void;
  swiglu(y: Id, gateUp: Id): void;
  swigluBackward(dgateUp: Id, dy: Id, gateUp: Id): void;

  /** `kept` and `scales` are for the backward pass alone, and hold what the device likes. */
  lmHead(
    logprobs: Id,
    entropies: Id,
    kept: Id | undefined,
    scales: Id | undefined,
    x: Id,
    rows: Id,
    targets: Id,
    w: Id,
  ): void;
  lmHeadBackward(
    dx: Id,
    dw: Id | undefined,
    dlogprobs: Id,
    kept: Id,
    scales: Id,
    x: Id,
    rows: Id,
    targets: Id,
    backward: Id,
    add: boolean,
  ): void;
  lmHeadLogits(logits: Id, x: Id, w: Id): void;

  cachedAttention(
    out: Id,
    qk: Id,
    qkv: Id,
    keys: Id,
    values: Id,
    sequences: Id,
    pageTable: Id,
    heads: number,
    kvHeads: number,
  ): void;
  copyPage(cache: Id, to: number, from: number): void;
  sample(
    tokens: Id,
    logprobs: Id,
    logits: Id,
    temperatures: Id,
    topPs: Id,
    topKs: Id,
    uniforms: Id,
    masks: Id | null,
    maskOf: Id | null,
  ): void;
  topTokens(tokens: Id, logprobs: Id, targetRanks: Id, targetLogprobs: Id, logits: Id, targets: Id): void;

  sumSquares(g: Id): number;
  adamw(
    p: Id,
    g: Id,
    m: Id,
    v: Id,
    step: number,
    learningRate: number,
    beta1: number,
    beta2: number,
    epsilon: number,
    weightDecay: number,
    gradScale: number,
  ): void;
}

/** What turns queries and keys. */
export type Rotation = [
  wq: Id | undefined,
  wk: Id | undefined,
  table: Id,
  at: Id,
  heads: number,
  kvHeads: number,
  epsilon: number,
];

export type Attended = [qk: Id, qkv: Id, segments: Id, heads: number, kvHeads: number];
