import { forwardFlops, trainingFlops } from '../../../src/model/flops.ts';
import { type Bench, configOf, inTurns, note } from '../bench.ts';
import type { Measured } from '../figure.ts';
import { median } from '../median.ts';
import { productPeak } from '../peak.ts';
import { Sod } from '../sod.ts';
import { bestPrecision, withTorch } from '../torch.ts';

const phases = ['rollout', 'teacher', 'update'] as const;

const work = { op: 'distill', prompts: 4, samples: 4, prompt: 64, steps: 128, repeats: 1 };

/**
 * One whole update of on-policy distillation, without tools: 4 prompts of 64 tokens × 4 samples of 128, scored by a teacher of the
 * student's shape. TRL's trainer compares whole distributions where this project compares the sampled tokens.
 */
export async function distill(bench: Bench): Promise<Measured[]> {
  const config = configOf(bench.models.student);
  const { trl } = bench.programs;
  const dtype = await bestPrecision(trl, bench, config, { ...work, steps: 8 });
  const ours: Record<string, number>[] = [];
  const theirs: number[] = [];
  const peaks: number[] = [];
  const total = (seconds: Record<string, number>) => phases.reduce((sum, phase) => sum + seconds[phase], 0);
  const load = { checkpoint: bench.models.student, role: 'trainer' as const, teacher: bench.models.teacher };
  await Sod.with(bench, load, sod =>
    withTorch(trl, bench, config, dtype, run =>
      inTurns(bench.pairs, [
        async () => {
          peaks.push(await productPeak(bench, sod));
          ours.push(...(await sod.phases(work)));
          note(`distillation: ${total(ours.at(-1)!).toFixed(2)} s`);
        },
        async () => {
          theirs.push(...(await run(work)));
          note(`distillation: TRL ${theirs.at(-1)!.toFixed(2)} s`);
        },
      ]),
    ),
  );
  const peak = median(peaks);
  return [
    {
      figure: 'distillation update, against TRL',
      value: median(theirs) / median(ours.map(total)),
      unit: '×',
      atLeast: { avx2: 2.4, 'avx512-bf16': 5 },
    },
    ...phases.flatMap(phase => {
      const seconds = median(ours.map(update => update[phase]));
      return [
        { figure: `distillation, ${phase}`, value: seconds, unit: 's' },
        {
          figure: `distillation, ${phase}: fraction of the product peak`,
          value: operations(config)[phase] / seconds / peak,
          unit: '',
        },
      ];
    }),
  ];
}

/** Operations of each phase, with a prompt computed once for all of its samples. */
function operations(config: Parameters<typeof forwardFlops>[0]): Record<(typeof phases)[number], number> {
  const { prompts, samples, prompt, steps } = work;
  const sequences = prompts * samples;
  const repeated = sequences - prompts;
  const forward =
    forwardFlops(config, sequences, prompt + steps, sequences * steps) - forwardFlops(config, repeated, prompt, 0);
  const update =
    trainingFlops(config, sequences, prompt + steps, sequences * steps) - trainingFlops(config, repeated, prompt, 0);
  return { rollout: forward, teacher: forward, update };
}
