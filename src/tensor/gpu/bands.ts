import type { GpuMemory, GpuTensor } from './memory.ts';
import { groupsFor, shader } from './shader.ts';

/**
 * Sums over all rows, for the gradients of what rows have in common: first of each band of rows, then of the bands, always in the same
 * order.
 */
export const bandRows = 64;

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

/** to [width] += Σ of `sums` [bands, …] in as many columns from `column` on. */
export function addBands(memory: GpuMemory, to: GpuTensor, sums: GpuTensor, column = 0): void {
  const [width] = to.shape;
  const [bands, stride] = sums.shape;
  memory.run(addBandsShader, { to, sums }, { bands, width, stride, column }, groupsFor(width));
}
