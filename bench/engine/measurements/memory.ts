import { type Bench, GiB } from '../bench.ts';
import type { Measured } from '../figure.ts';
import { Sod } from '../sod.ts';

export async function memory(bench: Bench): Promise<Measured[]> {
  return Sod.with(bench, { checkpoint: bench.models.large, role: 'trainer' }, async sod => {
    await sod.seconds({ op: 'train', lengths: Array(8).fill(512), repeats: 1 });
    const value = (await sod.memory()) / GiB;
    return [{ figure: 'full fine-tuning 0.6B, 4096 tokens: peak memory', value, unit: 'GiB', atMost: 14 }];
  });
}
