import { execFileSync } from 'node:child_process';
import { type Bench, GiB } from './bench.ts';
import { median } from './median.ts';
import { largeProducts, type Precision, type Product } from './product.ts';
import type { Sod } from './sod.ts';

/** Floating-point operations a second of a matrix product alone, by who computes it. */
export async function productSpeeds(bench: Bench, sod: Sod, product: Product, precision: Precision): Promise<Speeds> {
  const { rows, inner, columns } = product;
  const library = (name: string) => ceiling(bench, name, precision, rows, inner, columns);
  return {
    oneDNN: library('onednn'),
    ...(precision === 'f32' && { OpenBLAS: library('openblas') }),
    ours: await sod.product(product, precision),
  };
}

export type Speeds = Record<string, number>;

/** The peak: what the fastest of them does, at the sizes of a large model's products and in the engine's precision. */
export async function productPeak(bench: Bench, sod: Sod): Promise<number> {
  let peak = 0;
  for (const product of largeProducts) {
    const speeds = await productSpeeds(bench, sod, product, bench.precision);
    peak = Math.max(peak, ...Object.values(speeds));
  }
  return peak;
}

/** The share of the peak that work of so many operations reaches, and its seconds; the peak is measured right before and behind it. */
export async function besidePeak(
  bench: Bench,
  sod: Sod,
  flops: number,
  work: Record<string, unknown>,
): Promise<{ seconds: number; fraction: number }> {
  const before = await productPeak(bench, sod);
  const seconds = median(await sod.seconds(work));
  const peak = Math.max(before, await productPeak(bench, sod));
  return { seconds, fraction: flops / seconds / peak };
}

/** Bytes a second that all cores read from memory, beyond every cache. */
export function memoryBandwidth(bench: Bench): number {
  return ceiling(bench, 'memory', GiB);
}

function ceiling({ programs }: Bench, ...args: (string | number)[]): number {
  const [program, ...rest] = [...programs.products, ...args.map(String)];
  return Number(execFileSync(program, rest, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }));
}
