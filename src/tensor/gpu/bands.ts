import type { GpuMemory, GpuTensor } from './memory.ts';
import { groupsFor, type Shader, shader } from './shader.ts';

/**
 * Sums over all rows, for the gradients of what rows have in common: first of each band of rows, then of the bands, always in the same
 * order.
 */
export const bandRows = 64;

/** Bands of so many rows. */
export function bands(rows: number): number {
  return Math.ceil(rows / bandRows);
}

const addBandsShader = shader('sum of bands', {
  writes: { to: 'f32' },
  reads: { sums: 'f32' },
  params: { bands: 'u32', width: 'u32', stride: 'u32', column: 'u32' },
  body: `
  let j = flat(id);
  if (j >= p.width) { return; }
  var sum = to[p.to + j];
  for (var band = 0u; band < p.bands; band++) { sum += sums[p.sums + band * p.stride + p.column + j]; }
  to[p.to + j] = sum;`,
});

/** For `addOverRows`. @param term in a program: what is added for `row` in a column, in a matrix of as many columns at `at` */
export function overRows(name: string, reads: Record<string, 'f32'>, term: string): Shader {
  return shader(name, {
    writes: { sums: 'f32' },
    reads,
    params: { rows: 'u32', width: 'u32', count: 'u32' },
    body: `
  let i = flat(id);
  if (i >= p.count) { return; }
  let first = i / p.width * ${bandRows}u;
  var sum = 0.0;
  for (var row = first; row < min(first + ${bandRows}u, p.rows); row++) {
    let at = row * p.width + i % p.width;
    sum += ${term};
  }
  sums[p.sums + i] = sum;`,
  });
}

/** to [width] += Σ over rows of what the program of `overRows` adds for each column. */
export function addOverRows(
  memory: GpuMemory,
  to: GpuTensor,
  program: Shader,
  tensors: Record<string, GpuTensor>,
  rows: number,
): void {
  const [width] = to.shape;
  const count = bands(rows) * width;
  memory.temporary([bands(rows), width], sums => {
    memory.run(program, { sums, ...tensors }, { rows, width, count }, groupsFor(count));
    addBands(memory, to, sums);
  });
}

/** to [width] += Σ of `sums` [bands, …] in as many columns from `column` on. */
export function addBands(memory: GpuMemory, to: GpuTensor, sums: GpuTensor, column = 0): void {
  const [width] = to.shape;
  const [bands, stride] = sums.shape;
  memory.run(addBandsShader, { to, sums }, { bands, width, stride, column }, groupsFor(width));
}
