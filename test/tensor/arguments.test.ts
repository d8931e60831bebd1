import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { tensorTypes } from '../../src/gguf/tensorTypes.ts';
import { native } from '../../src/tensor/cpu/native.ts';
import { BlockMatrix, PackedWeight, Tensor } from '../../src/tensor/tensor.ts';

/** Arguments by name, in order. */
type Arguments = Record<string, unknown>;

const floats = (...shape: number[]) => Tensor.zeros('f32', shape);
const ints = (...data: number[]) => Tensor.from(Int32Array.from(data));
const table = (columns: number, ...data: number[]) =>
  Tensor.from(Int32Array.from(data), [data.length / columns, columns]);
const packed = (direction: 'forward' | 'backward') => PackedWeight.of(floats(5, 8), 'f32', direction);
const q8 = tensorTypes.Q8_0.id;
const inBlocks = BlockMatrix.allocate('f32', 32, [{ type: q8, rows: 5 }]);
/** What answers with a number that is to be released. */
const making = ['allocate', 'view', 'pack', 'blockMatrix'];

/** n = 3 rows, h = 8, vocabulary 5, two query heads and one key/value head of d = 4, pages of 16. */
const valid: Record<string, Arguments> = {
  allocate: { dtype: 'f32', shape: [2, 3] },
  view: { tensor: floats(6), offset: 1, shape: [2, 2] },
  zero: { tensor: floats(3) },
  write: { tensor: floats(3), data: new Float32Array(3) },
  read: { tensor: floats(3) },
  convert: { y: floats(3), x: floats(3) },
  setThreads: { threads: native().cpu().threads },
  pack: { w: floats(5, 8), bf16: false, backward: true, chunkRows: 2 },
  repack: { forward: packed('forward'), backward: packed('backward'), w: floats(5, 8) },
  blockMatrix: { bf16: false, columns: 32, parts: Int32Array.of(q8, 5) },
  writeBlocks: { matrix: inBlocks, firstRow: 3, bytes: new Uint8Array(2 * 34) },
  linear: { y: floats(3, 5), x: floats(3, 8), w: packed('forward') },
  linearBackward: { dx: floats(3, 8), dy: floats(3, 5), w: packed('backward') },
  linearWeightGrad: { dw: floats(5, 8), dy: floats(3, 5), x: floats(3, 8), add: true },
  columnsProduct: { y: floats(3, 7), yColumn: 2, x: floats(3, 9), xColumn: 1, w: packed('forward'), add: true },
  columnsWeightGrad: { dw: floats(5, 8), dy: floats(3, 7), dyColumn: 2, x: floats(3, 9), xColumn: 1, add: false },
  scale: { x: floats(3, 8), factor: 0.5 },
  addBias: { x: floats(3, 8), b: floats(8) },
  biasGradient: { db: floats(8), dy: floats(3, 8) },
  embedding: { y: floats(3, 8), table: floats(5, 8), ids: ints(0, 4, 4) },
  embeddingBackward: { dtable: floats(5, 8), dy: floats(3, 8), ids: ints(0, 4, 4) },
  rmsNorm: {
    y: floats(3, 8),
    rstd: floats(3),
    sum: floats(3, 8),
    x: floats(3, 8),
    delta: floats(3, 8),
    w: floats(8),
    epsilon: 1e-6,
  },
  rmsNormBackward: {
    dx: floats(3, 8),
    dw: floats(8),
    dy: floats(3, 8),
    x: floats(3, 8),
    rstd: floats(3),
    w: floats(8),
  },
  qkNormRope: {
    y: floats(3, 12),
    qkv: floats(3, 16),
    wq: floats(4),
    wk: floats(4),
    table: floats(9, 4),
    at: ints(0, 8, 3),
    heads: 2,
    kvHeads: 1,
    epsilon: 1e-6,
  },
  qkNormRopeBackward: {
    dqkv: floats(3, 16),
    dwq: floats(4),
    dwk: floats(4),
    dy: floats(3, 12),
    qkv: floats(3, 16),
    wq: floats(4),
    wk: floats(4),
    table: floats(9, 4),
    at: ints(0, 8, 3),
    heads: 2,
    kvHeads: 1,
    epsilon: 1e-6,
  },
  attention: {
    out: floats(3, 8),
    lse: floats(3, 2),
    qk: floats(3, 12),
    qkv: floats(3, 16),
    segments: table(3, 0, 2, -1, 2, 1, 0),
    heads: 2,
    kvHeads: 1,
  },
  attentionBackward: {
    dqk: floats(3, 12),
    dqkv: floats(3, 16),
    dout: floats(3, 8),
    out: floats(3, 8),
    lse: floats(3, 2),
    qk: floats(3, 12),
    qkv: floats(3, 16),
    segments: table(3, 0, 2, -1, 2, 1, 0),
    heads: 2,
    kvHeads: 1,
  },
  cachedAttention: {
    out: floats(3, 8),
    qk: floats(3, 12),
    qkv: floats(3, 16),
    keys: floats(4, 1, 64),
    values: floats(4, 1, 64),
    sequences: table(3, 0, 2, 15, 2, 1, 0),
    pageTable: table(2, 3, 0, 1, 2),
    heads: 2,
    kvHeads: 1,
  },
  copyPage: { cache: floats(4, 1, 64), to: 3, from: 0 },
  selectRows: { y: floats(2, 8), x: floats(3, 8), rows: ints(0, 2) },
  selectRowsBackward: { dx: floats(3, 8), dy: floats(2, 8), rows: ints(0, 2) },
  swiglu: { y: floats(3, 4), gateUp: floats(3, 8) },
  swigluBackward: { dgateUp: floats(3, 8), dy: floats(3, 4), gateUp: floats(3, 8) },
  lmHead: {
    logprobs: floats(2),
    entropies: floats(2),
    kept: floats(2, 5),
    scales: floats(2, 1),
    x: floats(3, 8),
    rows: ints(0, 2),
    targets: ints(4, 0),
    w: packed('forward'),
  },
  lmHeadBackward: {
    dx: floats(3, 8),
    dw: floats(5, 8),
    dlogprobs: floats(2),
    kept: floats(2, 5),
    scales: floats(2, 1),
    x: floats(3, 8),
    rows: ints(0, 2),
    targets: ints(4, 0),
    backward: packed('backward'),
    add: true,
  },
  lmHeadLogits: { logits: floats(2, 5), x: floats(2, 8), w: packed('forward') },
  sample: {
    tokens: ints(0, 0),
    logprobs: floats(2),
    logits: floats(2, 5),
    temperatures: floats(2),
    topPs: floats(2),
    topKs: ints(0, 0),
    uniforms: floats(2),
  },
  sumSquares: { g: floats(3) },
  adamw: {
    p: floats(3),
    g: floats(3),
    m: floats(3),
    v: floats(3),
    step: 1,
    learningRate: 1e-3,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weightDecay: 0.1,
    gradScale: 1,
  },
};
const calls = Object.entries(valid);

const freed = floats(3, 8);
freed.free();
const [live, packs] = [
  [
    [],
    [0],
    [3, 0],
    [0, 8],
    [1],
    [3],
    [8],
    [3, 4],
    [3, 8],
    [3, 12],
    [3, 16],
    [4, 1, 64],
    [4, 1, 0],
    [2, 2, 2, 2],
    [9, 3],
  ].flatMap(shape => (['f32', 'bf16', 'i32'] as const).map(dtype => Tensor.zeros(dtype, shape))),
  [packed('forward'), packed('backward'), PackedWeight.of(inBlocks, 'f32', 'forward'), inBlocks],
];
/** Never a live tensor, a number that fits, or anything else that some kernel takes. */
const never = [
  undefined,
  null,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -1,
  2 ** 60,
  freed,
  0.5,
  '3',
  'f64',
  Symbol('s'),
  10n,
  {},
  [Symbol('s')],
  [-1],
  [1.5],
  [1e6, 1e6],
  [1, 1, 1, 1, 1],
  ['2'],
  () => 1,
  new Float64Array(3),
  new BigInt64Array(3),
  new DataView(new ArrayBuffer(12)),
  new Float32Array(2),
  new Proxy([-1], {}),
];
const sometimes = [0, 1, 2, 3, 8, true, false, 'f32', 'bf16', [], [2, 3], new Float32Array(3), new Int32Array(8)];

function isResource(value: unknown): value is Tensor | PackedWeight | BlockMatrix {
  return value instanceof Tensor || value instanceof PackedWeight || value instanceof BlockMatrix;
}

function call(kernel: string, args: readonly unknown[]): unknown {
  const kernels = native() as unknown as Record<string, (...args: unknown[]) => unknown>;
  return kernels[kernel](...args.map(value => (isResource(value) ? value.id : value)));
}

function failure(kernel: string, args: Arguments): Error {
  try {
    call(kernel, Object.values(args));
  } catch (error) {
    return error as Error;
  }
  throw new Error(`${kernel} accepted wrong arguments`);
}

const takesAnyShape = new Set(['view', 'zero', 'read']);

const optional: Record<string, string[]> = {
  rmsNorm: ['delta', 'sum', 'rstd'],
  rmsNormBackward: ['dw'],
  lmHeadBackward: ['dw'],
};

/** What an argument takes beside what it has in `valid`. */
function fits(kernel: string, name: string, valid: unknown, value: unknown): boolean {
  if (typeof valid === 'number' && value instanceof Tensor) return true;
  if (typeof valid === 'number' && typeof value === 'number') {
    return !Number.isInteger(valid) || name === 'gradScale' || (Number.isInteger(value) && value > 1);
  }
  return (optional[kernel]?.includes(name) ?? false) && value == null;
}

describe.each(calls)('%s', (kernel, args) => {
  it('takes what is right', () => {
    const result = call(kernel, Object.values(args));
    if (making.includes(kernel)) native().release(result as number);
  });

  it('names itself and the argument that is wrong', () => {
    for (const [name, right] of Object.entries(args)) {
      for (const value of never) {
        if (fits(kernel, name, right, value)) continue;
        const { message } = failure(kernel, { ...args, [name]: value });
        expect(message, `${name} = ${inspect(value)}`).toMatch(new RegExp(`^${kernel}: (${name}|sum|scales|dwk) `));
      }
    }
  });

  it('refuses tensors of another shape or dtype', () => {
    for (const [name, right] of Object.entries(args)) {
      if (!(right instanceof Tensor) || takesAnyShape.has(kernel)) continue;
      for (const dtype of ['f32', 'i32'] as const) {
        const other = Tensor.zeros(dtype, [2, 2, 2, 2]);
        expect(failure(kernel, { ...args, [name]: other }).message).toMatch(new RegExp(`^${kernel}: \\w+ `));
        other.free();
      }
    }
  });
});

test('indices out of range are refused with the place where they are', () => {
  const wrong: [string, Arguments, string][] = [
    ['embedding', { ids: ints(0, 5, 0) }, 'ids has 5 at 1, expected 0 to 4'],
    ['embeddingBackward', { ids: ints(0, 0, -1) }, 'ids has -1 at 2, expected 0 to 4'],
    ['qkNormRope', { at: ints(9, 0, 0) }, 'at has 9 at 0, expected 0 to 8'],
    ['qkNormRopeBackward', { at: ints(0, -1, 0) }, 'at has -1 at 1, expected 0 to 8'],
    ['lmHead', { rows: ints(0, 3) }, 'rows has 3 at 1, expected 0 to 2'],
    ['lmHead', { targets: ints(5, 0) }, 'targets has 5 at 0, expected 0 to 4'],
    ['lmHeadBackward', { rows: ints(-1, 0) }, 'rows has -1 at 0, expected 0 to 2'],
    ['lmHeadBackward', { targets: ints(0, 5) }, 'targets has 5 at 1, expected 0 to 4'],
    ['selectRows', { rows: ints(3, 0) }, 'rows has 3 at 0, expected 0 to 2'],
    ['selectRowsBackward', { rows: ints(0, 3) }, 'rows has 3 at 1, expected 0 to 2'],
    ['copyPage', { to: 4 }, 'to must be an integer from 0 to 3'],
    ...['attention', 'attentionBackward'].flatMap((kernel): [string, Arguments, string][] => [
      [kernel, { segments: table(3, 0, 2, -1) }, 'segments must cover all rows'],
      [kernel, { segments: table(3, 0, 4, -1) }, 'segments must cover all rows in order'],
      [kernel, { segments: table(3, 0, 2, -1, 1, 2, 0) }, 'segments must cover all rows in order'],
      [kernel, { segments: table(3, 0, 2, 0, 2, 1, 0) }, 'segments must come after their parent'],
      [kernel, { segments: table(3, 0, 1, -1, 1, 1, -1, 2, 1, 0) }, 'segments must come after their parent'],
      [kernel, { segments: table(3, 0, 3, -1, 3, 0, 0) }, 'segments must cover all rows in order'],
    ]),
    ['cachedAttention', { sequences: table(3, 0, 2, -1, 2, 1, 0) }, 'sequences must cover all rows in order'],
    ['cachedAttention', { sequences: table(3, 0, 2, 31, 2, 1, 0) }, 'pageTable is too narrow for sequence 0'],
    ['cachedAttention', { sequences: table(3, 0, 2, 2 ** 31 - 1, 2, 1, 0) }, 'pageTable is too narrow for sequence 0'],
    ['cachedAttention', { pageTable: table(2, 3, 4, 1, 2) }, 'pageTable names a page that does not exist'],
  ];
  for (const [kernel, change, message] of wrong) {
    expect(failure(kernel, { ...valid[kernel], ...change }).message).toContain(`${kernel}: ${message}`);
  }
});

test('the other direction of a packed weight is cut and rounded as it is', () => {
  const pack =
    (w: PackedWeight, ...how: unknown[]) =>
    () =>
      call('pack', [w, ...how]);
  expect(pack(packed('backward'), false, true, 5)).toThrow('pack: w is packed for the other direction');
  expect(pack(packed('forward'), true, true, 5)).toThrow('pack: bf16 is another dtype');
  expect(pack(packed('forward'), false, false, 5)).toThrow('pack: backward must be true');
  expect(pack(packed('forward'), false, true, 4)).toThrow('pack: chunkRows are others');
  const made = packed('forward').backward();
  expect(() => call('repack', [packed('forward'), made, floats(5, 8)])).toThrow(
    'repack: backward is made of the other',
  );
  expect(() => call('embedding', [floats(3, 8), packed('backward'), ints(0, 0, 0)])).toThrow(
    'embedding: table is packed',
  );
});

test('of nothing, the gradient of a weight is nothing', () => {
  const gradient = (dw: Tensor, dy: Tensor, x: Tensor) => {
    call('linearWeightGrad', [dw, dy, x, false]);
    return dw.floats();
  };
  expect(gradient(floats(0, 8), floats(3, 0), floats(3, 8))).toHaveLength(0);
  expect(gradient(floats(5, 0), floats(3, 5), floats(3, 0))).toHaveLength(0);
  const before = Tensor.from(new Float32Array(40).fill(7), [5, 8]);
  expect(gradient(before, floats(0, 5), floats(0, 8)).every(value => value === 0)).toBe(true);
});

test('no combination of arguments ends the process', () => {
  const anything = fc.oneof(
    fc.constantFrom(...live),
    fc.constantFrom(...packs, ...sometimes),
    fc.constantFrom(...never),
  );
  const plausible = fc
    .tuple(fc.constantFrom(...calls), fc.array(fc.tuple(fc.nat(), anything), { maxLength: 3 }))
    .map(([[kernel, args], changes]) => {
      const list = Object.values(args);
      for (const [at, value] of changes) list[at % list.length] = value;
      return { kernel, list };
    });
  // Freeing what later calls need, or asking for a thousand threads, would only make the test weaker or slow.
  const kernels = Object.keys(native()).filter(kernel => kernel !== 'release' && kernel !== 'setThreads');
  const wild = fc.record({ kernel: fc.constantFrom(...kernels), list: fc.array(anything, { maxLength: 9 }) });
  let made = 0;
  fc.assert(
    fc.property(fc.oneof(plausible, wild), ({ kernel, list }) => {
      try {
        const made = call(kernel, list);
        if (making.includes(kernel)) native().release(made as number);
      } catch (error) {
        expect((error as Error).message).toMatch(new RegExp(`^${kernel}: \\S+ `));
      }
      made++;
    }),
    { numRuns: 20_000 },
  );
  expect(made).toBe(20_000);
});
