import { parameterCount } from '../../../src/model/config.ts';
import { type Bench, configOf, GiB, inTurns, ms, note } from '../bench.ts';
import type { Measured } from '../figure.ts';
import { bestGguf, withLlama } from '../llama.ts';
import { median } from '../median.ts';
import { memoryBandwidth } from '../peak.ts';
import { Sod } from '../sod.ts';
import { rivals, withRivals } from '../torch.ts';

/** What the engine is to reach at a batch size, as ratios to the peers' steps. */
interface Size {
  batch: number;
  steps: number;
  torch: Record<string, number>;
  llama: Record<string, number>;
}

const sizes: readonly Size[] = [
  { batch: 64, steps: 4, torch: { 'avx512-bf16': 2 }, llama: { 'avx512-bf16': 2 } },
  { batch: 16, steps: 8, torch: { 'avx512-bf16': 2 }, llama: { avx2: 1.7, 'avx512-bf16': 1.7 } },
  { batch: 1, steps: 16, torch: { 'avx512-bf16': 2 }, llama: { 'avx512-bf16': 1 } },
];

/** One token after the other behind contexts of 512; 64 of them side by side only where bf16 halves what they take. */
export async function decode(bench: Bench): Promise<Measured[]> {
  const figures: Measured[] = [];
  for (const size of sizes.filter(({ batch }) => batch < 64 || bench.precision === 'bf16')) {
    figures.push(...(await decodeBatch(bench, size)));
  }
  return figures;
}

/** All sides are loaded and take turns. */
async function decodeBatch(bench: Bench, { batch, steps, torch, llama }: Size): Promise<Measured[]> {
  const config = configOf(bench.models.large);
  const work = { op: 'decode', batch, context: 512, steps, repeats: 1 };
  const short = { ...work, steps: 2 };
  const type = await bestGguf(bench, short);
  const peers = await rivals(bench, config, short);
  const ours: number[] = [];
  const theirs: number[] = [];
  const bandwidths: number[] = [];
  const perStep = (seconds: readonly number[]) => median(seconds) / steps;

  const options = { cacheBytes: (batch < 64 ? 2.5 : 5) * GiB };
  await Sod.with(bench, { checkpoint: bench.models.large, role: 'sampler', options }, sod =>
    withLlama(bench, type, llama =>
      withRivals(peers, bench, config, work, sides =>
        inTurns(bench.pairs, [
          async () => {
            ours.push(...(await sod.seconds(work)));
            if (batch === 1) bandwidths.push(memoryBandwidth(bench));
          },
          async () => theirs.push(...(await llama(work))),
          ...sides,
        ]),
      ),
    ),
  );

  const others = peers.map(({ program, seconds }) => `${program.title} ${ms(perStep(seconds))}`).join(', ');
  note(`decode ${batch}: ms a step ${ms(perStep(ours))}, llama.cpp ${ms(perStep(theirs))}, ${others}`);
  const figures: Measured[] = [
    ...peers.map(({ program, seconds }) => ({
      figure: `decode 0.6B, batch ${batch}, against ${program.title}`,
      value: perStep(seconds) / perStep(ours),
      unit: '×',
      atLeast: torch,
    })),
    {
      figure: `decode 0.6B, batch ${batch}, against llama.cpp`,
      value: perStep(theirs) / perStep(ours),
      unit: '×',
      atLeast: llama,
    },
  ];
  if (batch > 1) return figures;
  return [
    ...figures,
    {
      figure: 'decode 0.6B, batch 1, fraction of memory bandwidth at 2 bytes a weight',
      value: (2 * parameterCount(config)) / perStep(ours) / median(bandwidths),
      unit: '',
      atLeast: { avx2: 0.85 },
    },
  ];
}
