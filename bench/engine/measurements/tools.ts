import { type Bench, GiB } from '../bench.ts';
import type { Measured } from '../figure.ts';
import { Sod } from '../sod.ts';

/** How much of the time the engine has nothing to do in 64 rollouts because every one waits for a tool that takes 200 ms. */
export async function tools(bench: Bench): Promise<Measured[]> {
  const load = { checkpoint: bench.models.large, role: 'sampler' as const, options: { cacheBytes: 2 * GiB } };
  return Sod.with(bench, load, async sod => {
    const idle = await sod.idle({ op: 'conversations', batch: 64, prompt: 64, turns: 3, steps: 16, toolMs: 200 });
    return [{ figure: '64 rollouts with tools of 200 ms, engine waiting', value: idle * 100, unit: '%', atMost: 10 }];
  });
}
