import { afterAll, expect, test } from 'vitest';
import { writeRounded } from '../../src/tensor/gpu/bf16.ts';
import { Gpu } from '../../src/tensor/gpu/gpu.ts';
import { GpuMemory } from '../../src/tensor/gpu/memory.ts';
import { type Form, matrixOf, multiply } from '../../src/tensor/gpu/product.ts';
import { defaultTiles, type Rows, tileCandidates } from '../../src/tensor/gpu/tiles.ts';
import { normal } from '../tensor/gradientCheck.ts';

const gpu = Gpu.open();
afterAll(() => gpu.close());

const memory = new GpuMemory(gpu);
const forms: Form[] = ['A·B', 'A·Bᵀ', 'Aᵀ·B'];
/** Not whole tiles of any candidate. */
const sizes: Record<Rows, { rows: number; columns: number; depth: number }> = {
  few: { rows: 3, columns: 263, depth: 37 },
  some: { rows: 13, columns: 135, depth: 37 },
  many: { rows: 139, columns: 135, depth: 37 },
};

function tensorOf(dtype: 'f32' | 'bf16', seed: number, rows: number, columns: number) {
  const tensor = memory.get(memory.allocate(dtype, [rows, columns]));
  const { data } = normal(seed, rows, columns);
  if (dtype === 'bf16') writeRounded(memory, tensor, data);
  else memory.write(tensor, data);
  return tensor;
}

/** A product of each form, by weights in bf16 where it has some. */
function products({ rows, columns, depth }: (typeof sizes)[Rows]): Uint32Array[] {
  return forms.map(form => {
    const c = tensorOf('f32', 1, rows, columns);
    const a = form === 'Aᵀ·B' ? tensorOf('f32', 2, depth, rows) : tensorOf('f32', 2, rows, depth);
    const [dtype, shape] = factorB(form, columns, depth);
    const b = tensorOf(dtype, 3, ...shape);
    multiply(memory, form, { c: matrixOf(c), a: matrixOf(a), b: matrixOf(b) }, { rows, columns, depth }, false);
    return new Uint32Array(memory.read(c).buffer);
  });
}

function factorB(form: Form, columns: number, depth: number): ['f32' | 'bf16', [number, number]] {
  if (form === 'Aᵀ·B') return ['f32', [depth, columns]];
  return ['bf16', form === 'A·B' ? [depth, columns] : [columns, depth]];
}

test.each(['few', 'some', 'many'] as const)(
  'products of %s rows are the same on all tiles, bit for bit',
  {
    timeout: 600_000,
  },
  rows => {
    const expected = products(sizes[rows]);
    for (const tile of tileCandidates[rows].slice(1)) {
      gpu.tiles = { ...defaultTiles, [rows]: tile };
      expect(products(sizes[rows])).toEqual(expected);
    }
  },
);
