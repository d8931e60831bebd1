import { type ChildProcess, spawn } from 'node:child_process';
import { type Bench, configOf, GiB, inTurns, note } from '../bench.ts';
import type { Measured } from '../figure.ts';
import { median } from '../median.ts';
import { Sod } from '../sod.ts';
import { bestPrecision, type Work, withTorch } from '../torch.ts';
import { demonstrationLengths, demonstrationPrefix } from './demonstrations.ts';

const works = {
  training: { op: 'train', lengths: demonstrationLengths.slice(0, 16), prefix: demonstrationPrefix, repeats: 4 },
  decoding: { op: 'decode', batch: 64, context: 64, steps: 32, repeats: 4 },
};

/** Which share of its throughput a demo-sized model keeps beside endless loops of other programs. */
export async function sharing(bench: Bench): Promise<Measured[]> {
  const figures: Measured[] = [];
  for (const [name, work] of Object.entries(works)) {
    const kept = await keptBeside([1, 2, 4], bench, work);
    for (const { loops, ours, theirs } of kept) {
      const beside = loops === 1 ? 'one endless loop' : `${loops} endless loops`;
      figures.push(
        {
          figure: `${name} beside ${beside}: throughput kept`,
          value: ours,
          unit: '',
          ...(loops === 1 && { atLeast: 0.65 }),
        },
        { figure: `${name} beside ${beside}: PyTorch keeps`, value: theirs, unit: '' },
      );
    }
  }
  return figures;
}

async function keptBeside(counts: readonly number[], bench: Bench, work: Work) {
  const config = configOf(bench.models.small);
  const { current } = bench.programs.torch;
  const dtype = await bestPrecision(current, bench, config, work);
  const load = { checkpoint: bench.models.small, role: 'trainer' as const, options: { cacheBytes: GiB / 32 } };
  return Sod.with(bench, load, sod =>
    withTorch(current, bench, config, dtype, async torch => {
      const states = [0, ...counts].map(loops => ({ loops, ours: [] as number[], theirs: [] as number[] }));
      const turns = states.map(({ loops, ours, theirs }) => async () => {
        await besideLoops(loops, async () => {
          ours.push(...(await sod.seconds(work)));
          theirs.push(...(await torch(work)));
        });
      });
      await inTurns(bench.pairs, turns);
      const [quiet, ...loaded] = states.map(({ loops, ...sides }) => ({
        loops,
        ours: median(sides.ours),
        theirs: median(sides.theirs),
      }));
      return loaded.map(({ loops, ...sides }) => {
        const [ours, theirs] = [quiet.ours / sides.ours, quiet.theirs / sides.theirs];
        note(`${work.op} beside ${loops}: ${ours.toFixed(2)} kept, PyTorch ${theirs.toFixed(2)}`);
        return { loops, ours, theirs };
      });
    }),
  );
}

/** The loops end by themselves after some minutes, whatever becomes of this process. */
async function besideLoops<T>(count: number, body: () => Promise<T>): Promise<T> {
  const loop = 'const end = Date.now() + 600_000; while (Date.now() < end);';
  const loops: ChildProcess[] = Array.from({ length: count }, () =>
    spawn(process.execPath, ['-e', loop], { stdio: 'ignore' }),
  );
  try {
    return await body();
  } finally {
    for (const process of loops) process.kill();
  }
}
