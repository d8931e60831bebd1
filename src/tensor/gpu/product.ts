import type { GpuMemory, GpuTensor } from './memory.ts';
import { elementAt, type Shader, shader } from './shader.ts';
import { rowsOf, type Tile, tileName } from './tiles.ts';

/** A matrix within a tensor: where it begins there, and from where to where its rows are. */
export interface Matrix {
  tensor: GpuTensor;
  first: number;
  stride: number;
}

/** Which of the factors lie in memory with their columns below one another. */
export type Form = 'A·B' | 'A·Bᵀ' | 'Aᵀ·B';

/** How many terms of a tile's sums are in shared memory at the same time. */
const tileDepth = 16;

/**
 * C (+)= A·B: a workgroup computes a tile of C from tiles of A and B in shared memory. Each sum has the order of its terms, whatever the
 * tile and whatever else is computed: a row is the same alone and beside others. B may be in bf16; sums are f32.
 */
function productShader(form: Form, tile: Tile, elements: 'f32' | 'bf16', add: boolean): Shader {
  const { rows, columns, threads } = tile;
  const [across, down] = threads;
  const threadCount = across * down;
  const rowsOfThread = Array.from({ length: rows / down }, (_, i) => i);
  const foursOfThread = Array.from({ length: columns / across / 4 }, (_, j) => j);
  const sums = rowsOfThread.flatMap(i => foursOfThread.map(j => ({ i, j, name: `sums${i}_${j}` })));
  const columnOf = (j: number, k: number) => (4 * j + k) * across;
  const leftPlace = form === 'Aᵀ·B' ? 'k * p.aStride + row' : 'row * p.aStride + k';
  const rightPlace = form === 'A·Bᵀ' ? 'column * p.bStride + k' : 'k * p.bStride + column';
  /** Neighbouring threads read neighbours in memory. */
  const split = (along: 'depth' | 'width', width: number) =>
    along === 'depth'
      ? { k: `e % ${tileDepth}u`, other: `e / ${tileDepth}u` }
      : { k: `e / ${width}u`, other: `e % ${width}u` };
  const left = split(form === 'Aᵀ·B' ? 'width' : 'depth', rows);
  const right = split(form === 'A·Bᵀ' ? 'depth' : 'width', columns);
  return shader(`product ${form}`, {
    writes: { c: 'f32' },
    reads: { a: 'f32', b: elements },
    params: { rows: 'u32', columns: 'u32', depth: 'u32', aStride: 'u32', bStride: 'u32', cStride: 'u32' },
    threads,
    before: `
var<workgroup> left: array<f32, ${rows * tileDepth}>;
var<workgroup> right: array<f32, ${columns * tileDepth}>;`,
    body: `
  let firstRow = group.y * ${rows}u;
  let firstColumn = group.x * ${columns}u;
  ${sums.map(({ name }) => `var ${name} = vec4f();`).join(' ')}
  for (var first = 0u; first < p.depth; first += ${tileDepth}u) {
    for (var e = lane; e < ${rows * tileDepth}u; e += ${threadCount}u) {
      let at = ${left.k};
      let k = first + at;
      let row = firstRow + ${left.other};
      var value = 0.0;
      if (k < p.depth && row < p.rows) { value = a[p.a + ${leftPlace}]; }
      left[at * ${rows}u + ${left.other}] = value;
    }
    for (var e = lane; e < ${columns * tileDepth}u; e += ${threadCount}u) {
      let at = ${right.k};
      let k = first + at;
      let column = firstColumn + ${right.other};
      var value = 0.0;
      if (k < p.depth && column < p.columns) { value = ${elementAt('b', elements, `p.b + ${rightPlace}`)}; }
      right[at * ${columns}u + ${right.other}] = value;
    }
    workgroupBarrier();
    for (var k = 0u; k < ${tileDepth}u; k++) {
      let l = k * ${rows}u + local.y;
      let r = k * ${columns}u + local.x;
      ${rowsOfThread.map(i => `let row${i} = vec4f(left[l + ${i * down}u]);`).join('\n      ')}
      ${foursOfThread
        .map(j => `let four${j} = vec4f(${[0, 1, 2, 3].map(k => `right[r + ${columnOf(j, k)}u]`).join(', ')});`)
        .join('\n      ')}
      ${sums.map(({ i, j, name }) => `${name} = fma(row${i}, four${j}, ${name});`).join('\n      ')}
    }
    workgroupBarrier();
  }
  ${sums
    .map(
      ({ i, j, name }) => `{
    let row = firstRow + local.y + ${i * down}u;
    for (var k = 0u; k < 4u; k++) {
      let column = firstColumn + local.x + ${columnOf(j, 0)}u + ${across}u * k;
      if (row < p.rows && column < p.columns) { c[p.c + row * p.cStride + column] ${add ? '+=' : '='} ${name}[k]; }
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
  const tile = memory.gpu.tiles[rowsOf(rows)];
  const elements = b.tensor.dtype as 'f32' | 'bf16';
  const key = `${form} ${tileName(tile)} ${elements} ${add}`;
  const program = shaders.get(key) ?? productShader(form, tile, elements, add);
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
    [Math.ceil(columns / tile.columns), Math.ceil(rows / tile.rows), 1],
  );
}

/** A whole tensor of rows. */
export function matrixOf(tensor: GpuTensor, firstColumn = 0): Matrix {
  return { tensor, first: firstColumn, stride: tensor.shape[1] };
}
