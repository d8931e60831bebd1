import { type Bench, GiB, note } from '../bench.ts';
import type { Measured } from '../figure.ts';
import { Sod } from '../sod.ts';

/** 16 samples of one 512-token prompt, 128 tokens each, against the same with 16 prompts. */
export async function group(bench: Bench): Promise<Measured[]> {
  const work = { batch: 16, prompt: 512, steps: 128, repeats: 1 };
  const load = { checkpoint: bench.models.large, role: 'trainer' as const, options: { cacheBytes: 2 * GiB } };
  return Sod.with(bench, load, async sod => {
    const ratio = async (op: string) => {
      const [shared] = await sod.seconds({ op, ...work, shared: true });
      const [alone] = await sod.seconds({ op, ...work, shared: false, warmups: 0 });
      note(`${op}: ${shared.toFixed(1)} s shared, ${alone.toFixed(1)} s not`);
      return alone / shared;
    };
    const figure = async (what: string, op: string) => ({
      figure: `group of 16, ${what}, prompt shared against not`,
      value: await ratio(op),
      unit: '×',
      atLeast: 2.5,
    });
    return [await figure('rollout', 'group'), await figure('training', 'trainGroup')];
  });
}
