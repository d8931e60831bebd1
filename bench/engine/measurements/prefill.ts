import { forwardFlops } from '../../../src/model/flops.ts';
import { type Bench, configOf, inTurns, note } from '../bench.ts';
import type { Measured } from '../figure.ts';
import { bestGguf, withLlama } from '../llama.ts';
import { median } from '../median.ts';
import { besidePeak } from '../peak.ts';
import { Sod } from '../sod.ts';

/** One new prompt of 2048 tokens, and the first token behind it. */
export async function prefill(bench: Bench): Promise<Measured[]> {
  const work = { op: 'prefill', prompt: 2048, repeats: 1 };
  const flops = forwardFlops(configOf(bench.models.large), 1, 2048, 1);
  const type = await bestGguf(bench, { ...work, prompt: 512 });
  const ours: number[] = [];
  const fractions: number[] = [];
  const theirs: number[] = [];
  await Sod.with(bench, { checkpoint: bench.models.large, role: 'sampler' }, sod =>
    withLlama(bench, type, llama =>
      inTurns(bench.pairs, [
        async () => {
          const { seconds, fraction } = await besidePeak(bench, sod, flops, work);
          ours.push(seconds);
          fractions.push(fraction);
          note(`prefill: ${seconds.toFixed(2)} s, ${fraction.toFixed(3)} of the peak`);
        },
        async () => {
          const [seconds] = await llama(work);
          theirs.push(seconds);
          note(`prefill: llama.cpp ${seconds.toFixed(2)} s`);
        },
      ]),
    ),
  );
  return [
    {
      figure: 'prefill 0.6B of 2048 tokens, against llama.cpp',
      value: median(theirs) / median(ours),
      unit: '×',
      atLeast: { avx2: 1, 'avx512-bf16': 2 },
    },
    {
      figure: 'prefill 0.6B of 2048 tokens, fraction of the product peak',
      value: median(fractions),
      unit: '',
      atLeast: { avx2: 0.75 },
    },
  ];
}
