import { type Bench, GiB } from '../bench.ts';
import type { Measured } from '../figure.ts';
import { memoryBandwidth, productSpeeds } from '../peak.ts';
import { largeProducts, type Precision, smallProduct } from '../product.ts';
import { Sod } from '../sod.ts';

/** The limits themselves: matrix products by who computes them, one by one, and memory read from end to end. */
export async function products(bench: Bench): Promise<Measured[]> {
  const precisions: Precision[] = bench.precision === 'bf16' ? ['bf16', 'f32'] : ['f32'];
  return Sod.with(bench, {}, async sod => {
    const figures: Measured[] = [];
    for (const precision of precisions) {
      for (const product of [...largeProducts, smallProduct]) {
        const { rows, inner, columns } = product;
        const speeds = {
          ...(await productSpeeds(bench, sod, product, precision)),
          'ours, gradient of the weight': await sod.weightGradient(product, precision),
        };
        for (const [name, speed] of Object.entries(speeds)) {
          const figure = `product ${rows} × ${inner} × ${columns} in ${precision}, ${name}`;
          figures.push({ figure, value: speed / 1e9, unit: 'GFLOP/s' });
        }
      }
    }
    return [...figures, { figure: 'memory, read by all cores', value: memoryBandwidth(bench) / GiB, unit: 'GiB/s' }];
  });
}
