import type { GpuMemory, GpuTensor } from './memory.ts';
import { elementAt, type Shader, shader } from './shader.ts';

/** A matrix within a tensor: where it begins there, and from where to where its rows are. */
export interface Matrix {
  tensor: GpuTensor;
  first: number;
  stride: number;
}

/** Which of the factors lie in memory with their columns below one another. */
export type Form = 'A·B' | 'A·Bᵀ' | 'Aᵀ·B';

/** The columns of a tile of the result, and how many terms of its sums are in shared memory at the same time. */
const tileColumns = 64;
const tileDepth = 16;

/**
 * C (+)= A·B: a workgroup computes a tile of C, a thread a row of four numbers or four of them, from tiles of A and B in shared memory.
 * Each sum has the order of its terms, whatever else is computed: a row is the same alone and beside others. B may be in bf16; sums are f32.
 */
function productShader(form: Form, tileRows: 16 | 64, elements: 'f32' | 'bf16', add: boolean): Shader {
  const rowsOfThread = Array.from({ length: tileRows / 16 }, (_, i) => i);
  const leftPlace = form === 'Aᵀ·B' ? 'k * p.aStride + row' : 'row * p.aStride + k';
  const rightPlace = form === 'A·Bᵀ' ? 'column * p.bStride + k' : 'k * p.bStride + column';
  /** Neighbouring threads read neighbours in memory. */
  const split = (along: 'depth' | 'width', width: number) =>
    along === 'depth'
      ? { k: `e % ${tileDepth}u`, other: `e / ${tileDepth}u` }
      : { k: `e / ${width}u`, other: `e % ${width}u` };
  const left = split(form === 'Aᵀ·B' ? 'width' : 'depth', tileRows);
  const right = split(form === 'A·Bᵀ' ? 'depth' : 'width', tileColumns);
  return shader(`product ${form}`, {
    writes: { c: 'f32' },
    reads: { a: 'f32', b: elements },
    params: { rows: 'u32', columns: 'u32', depth: 'u32', aStride: 'u32', bStride: 'u32', cStride: 'u32' },
    threads: [16, 16],
    before: `
var<workgroup> left: array<f32, ${tileRows * tileDepth}>;
var<workgroup> right: array<f32, ${tileColumns * tileDepth}>;`,
    body: `
  let firstRow = group.y * ${tileRows}u;
  let firstColumn = group.x * ${tileColumns}u;
  ${rowsOfThread.map(i => `var sums${i} = vec4f();`).join(' ')}
  for (var first = 0u; first < p.depth; first += ${tileDepth}u) {
    for (var e = lane; e < ${tileRows * tileDepth}u; e += 256u) {
      let at = ${left.k};
      let k = first + at;
      let row = firstRow + ${left.other};
      var value = 0.0;
      if (k < p.depth && row < p.rows) { value = a[p.a + ${leftPlace}]; }
      left[at * ${tileRows}u + ${left.other}] = value;
    }
    for (var e = lane; e < ${tileColumns * tileDepth}u; e += 256u) {
      let at = ${right.k};
      let k = first + at;
      let column = firstColumn + ${right.other};
      var value = 0.0;
      if (k < p.depth && column < p.columns) { value = ${elementAt('b', elements, `p.b + ${rightPlace}`)}; }
      right[at * ${tileColumns}u + ${right.other}] = value;
    }
    workgroupBarrier();
    for (var k = 0u; k < ${tileDepth}u; k++) {
      let r = k * ${tileColumns}u + local.x;
      let four = vec4f(right[r], right[r + 16u], right[r + 32u], right[r + 48u]);
      ${rowsOfThread.map(i => `sums${i} = fma(vec4f(left[k * ${tileRows}u + local.y + ${16 * i}u]), four, sums${i});`).join('\n      ')}
    }
    workgroupBarrier();
  }
  ${rowsOfThread
    .map(
      i => `{
    let row = firstRow + local.y + ${16 * i}u;
    for (var j = 0u; j < 4u; j++) {
      let column = firstColumn + local.x + 16u * j;
      if (row < p.rows && column < p.columns) { c[p.c + row * p.cStride + column] ${add ? '+=' : '='} sums${i}[j]; }
    }
  }`,
    )
    .join('\n  ')}`,
  });
}

const shaders = new Map<string, Shader>();

/** C [rows, columns] (+)= A·B, with sums of `depth` terms. */
export function multiply(
  memory: GpuMemory,
  form: Form,
  matrices: { c: Matrix; a: Matrix; b: Matrix },
  size: { rows: number; columns: number; depth: number },
  add: boolean,
): void {
  const { a, b, c } = matrices;
  const { rows, columns, depth } = size;
  const tileRows = rows > 16 ? 64 : 16;
  const elements = b.tensor.dtype as 'f32' | 'bf16';
  const key = `${form} ${tileRows} ${elements} ${add}`;
  const program = shaders.get(key) ?? productShader(form, tileRows, elements, add);
  shaders.set(key, program);
  const part = ({ tensor, first, stride }: Matrix, rows: number, columns: number) => ({
    tensor,
    first,
    count: Math.max(0, (rows - 1) * stride + columns),
  });
  memory.run(
    program,
    {
      c: part(c, rows, columns),
      a: form === 'Aᵀ·B' ? part(a, depth, rows) : part(a, rows, depth),
      b: form === 'A·Bᵀ' ? part(b, columns, depth) : part(b, depth, columns),
    },
    { rows, columns, depth, aStride: a.stride, bStride: b.stride, cStride: c.stride },
    [Math.ceil(columns / tileColumns), Math.ceil(rows / tileRows), 1],
  );
}

/** A whole tensor of rows. */
export function matrixOf(tensor: GpuTensor, firstColumn = 0): Matrix {
  return { tensor, first: firstColumn, stride: tensor.shape[1] };
}
