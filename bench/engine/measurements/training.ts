import { trainingFlops } from '../../../src/model/flops.ts';
import { type Bench, configOf, inTurns, note } from '../bench.ts';
import type { Measured } from '../figure.ts';
import { median } from '../median.ts';
import { besidePeak } from '../peak.ts';
import { Sod } from '../sod.ts';
import { rivals, withTorch } from '../torch.ts';

/** A full update of the 0.6B shape, loss on the second half of each sequence: 4 of 512 tokens, or 2 in f32, which takes twice as long. */
export async function training(bench: Bench): Promise<Measured[]> {
  const config = configOf(bench.models.large);
  const sequences = bench.precision === 'bf16' ? 4 : 2;
  const work = { op: 'train', lengths: Array(sequences).fill(512), repeats: 1 };
  const flops = trainingFlops(config, sequences, 512, sequences * 256);
  const rate = (seconds: readonly number[]) => `${((sequences * 512) / median(seconds)).toFixed(0)} tokens/s`;

  const ours: number[] = [];
  const fractions: number[] = [];
  const own = () =>
    Sod.with(bench, { checkpoint: bench.models.large, role: 'trainer' }, async sod => {
      const { seconds, fraction } = await besidePeak(bench, sod, flops, work);
      ours.push(seconds);
      fractions.push(fraction);
      note(`training: ${rate([seconds])}, ${fraction.toFixed(3)} of the peak`);
    });

  const peers = await rivals(bench, config, { ...work, lengths: [64] });
  const theirs = peers.map(({ program, dtype, seconds }) => async () => {
    seconds.push(...(await withTorch(program, bench, config, dtype, run => run(work))));
    note(`training: ${program.title} ${rate(seconds.slice(-1))}`);
  });
  await inTurns(bench.pairs, [own, ...theirs]);
  return [
    ...peers.map(({ program, seconds }) => ({
      figure: `training 0.6B, against ${program.title}`,
      value: median(seconds) / median(ours),
      unit: '×',
      atLeast: { avx2: 1.6, 'avx512-bf16': 2 },
    })),
    {
      figure: 'training 0.6B, fraction of the product peak',
      value: median(fractions),
      unit: '',
      atLeast: { avx2: 0.8, 'avx512-bf16': 0.7 },
    },
  ];
}
