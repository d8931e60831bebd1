import type { Bench } from '../bench.ts';
import type { Measured } from '../figure.ts';
import { median } from '../median.ts';
import { Sod } from '../sod.ts';

/** Whether the time for a token stays the same when more sequences are packed. */
export async function length(bench: Bench): Promise<Measured[]> {
  return Sod.with(bench, { checkpoint: bench.models.large, role: 'scorer' }, async sod => {
    const growth: number[] = [];
    for (let pair = 0; pair < bench.pairs; pair++) {
      const [few] = await sod.seconds({ op: 'score', lengths: Array(2).fill(512), repeats: 1 });
      const [many] = await sod.seconds({ op: 'score', lengths: Array(16).fill(512), repeats: 1 });
      growth.push((many / 16 / (few / 2) - 1) * 100);
    }
    return [{ figure: 'time a token, from 1k to 8k packed tokens', value: median(growth), unit: '%', atMost: 10 }];
  });
}
