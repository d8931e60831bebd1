import { forwardFlops } from '../../../src/model/flops.ts';
import { type Bench, configOf, inTurns, note } from '../bench.ts';
import type { Measured } from '../figure.ts';
import { median } from '../median.ts';
import { besidePeak } from '../peak.ts';
import { Sod } from '../sod.ts';

/** 4 sequences of 512 tokens, of which the second half is scored. */
export async function scoring(bench: Bench): Promise<Measured[]> {
  const config = configOf(bench.models.large);
  const flops = forwardFlops(config, 4, 512, 4 * 256);
  return Sod.with(bench, { checkpoint: bench.models.large, role: 'scorer' }, async sod => {
    const fractions: number[] = [];
    const work = { op: 'score', lengths: Array(4).fill(512), repeats: 1 };
    await inTurns(bench.pairs, [
      async () => {
        const { seconds, fraction } = await besidePeak(bench, sod, flops, work);
        fractions.push(fraction);
        note(`scoring: ${seconds.toFixed(2)} s, ${fraction.toFixed(3)} of the peak`);
      },
    ]);
    return [
      {
        figure: 'scoring 0.6B, fraction of the product peak',
        value: median(fractions),
        unit: '',
        atLeast: { avx2: 0.75, 'avx512-bf16': 0.75 },
      },
    ];
  });
}
