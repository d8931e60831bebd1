import { type Bench, configOf, GiB, inTurns, ms, note } from '../bench.ts';
import type { Measured } from '../figure.ts';
import type { TorchProgram } from '../install.ts';
import { median } from '../median.ts';
import { Sod } from '../sod.ts';
import { bestPrecision, type Work, withTorch } from '../torch.ts';
import { demonstrationLengths, demonstrationPrefix } from './demonstrations.ts';

const training = { op: 'train', lengths: demonstrationLengths, prefix: demonstrationPrefix, repeats: 2 };
const unpadded = { op: 'train', lengths: Array(32).fill(256), repeats: 2 };
const decoding = { op: 'decode', batch: 64, context: 64, steps: 128, repeats: 7 };

/**
 * Models of about a million parameters at the demo's work: an update from a batch of its demonstrations, and decoding as far
 * as they go. PyTorch pads a batch to its longest sequence.
 */
export async function small(bench: Bench): Promise<Measured[]> {
  const figures: Measured[] = [];
  for (const name of bench.torches) {
    const program = bench.programs.torch[name];
    const ratio = (work: Work) => against(bench, program, work);
    const unpaddedRatio = await ratio(unpadded);
    note(`demo-sized, training on 32 sequences of 256, where nothing is padded: ${unpaddedRatio.toFixed(2)} ×`);
    figures.push(
      {
        figure: `training of a demo-sized model, against ${program.title}`,
        value: await ratio(training),
        unit: '×',
        atLeast: { avx2: 4, 'avx512-bf16': 4 },
      },
      {
        figure: `decode steps of a demo-sized model, batch 64, against ${program.title}`,
        value: await ratio(decoding),
        unit: '×',
        atLeast: { 'avx512-bf16': 5 },
      },
    );
  }
  return figures;
}

/** Median of the pairs' ratios. */
async function against(bench: Bench, program: TorchProgram, work: Work): Promise<number> {
  const config = configOf(bench.models.small);
  const dtype = await bestPrecision(program, bench, config, work);
  // The cache is small enough to go round, as in a long rollout: memory that is used for the first time costs more.
  const load = { checkpoint: bench.models.small, role: 'trainer' as const, options: { cacheBytes: GiB / 32 } };
  const ours: number[] = [];
  const theirs: number[] = [];
  await Sod.with(bench, load, sod =>
    withTorch(program, bench, config, dtype, torch =>
      // So short are they that whatever else the machine does shows: more turns.
      inTurns(2 * bench.pairs + 1, [
        async () => ours.push(median(await sod.seconds(work))),
        async () => theirs.push(median(await torch(work))),
      ]),
    ),
  );
  note(`demo-sized, ${work.op}: ms ${ms(median(ours))} against ${ms(median(theirs))}`);
  return median(ours.map((seconds, i) => theirs[i] / seconds));
}
