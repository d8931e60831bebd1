import type { Trajectory } from '../../../src/agent/trajectory.ts';
import { aroundErrors, distillationDiagnostics } from '../../../src/methods/diagnostics.ts';
import { stepDivergences, stepRanges, stepWeights } from '../../../src/methods/stepwise.ts';
import { Random } from '../../../src/random.ts';
import type { Bench } from '../bench.ts';
import type { Measured } from '../figure.ts';
import { median } from '../median.ts';
import { Sod } from '../sod.ts';

/** d_k, w_k and what is reported of them, beside the update that they belong to: 4 trajectories of 512 tokens. */
export async function weights(bench: Bench): Promise<Measured[]> {
  const random = Random.of('weights');
  const trajectories = Array.from({ length: 4 }, () => randomTrajectory(512, random));
  const teacher = trajectories.map(({ logprobs }) => logprobs.map(s => s + 0.2 * random.normal()));
  const steps = () => {
    const weighting = trajectories.map(({ mask, logprobs }, i) => {
      const divergence = stepDivergences(stepRanges(mask), logprobs, teacher[i]);
      return { divergence, weight: stepWeights(divergence) };
    });
    distillationDiagnostics(trajectories, teacher, weighting);
    aroundErrors(trajectories, weighting, teacher);
  };
  const milliseconds = Array.from({ length: 21 }, () => {
    const start = performance.now();
    steps();
    return performance.now() - start;
  });
  const [update] = await Sod.with(bench, { checkpoint: bench.models.large, role: 'trainer' }, sod =>
    sod.seconds({ op: 'train', lengths: Array(4).fill(512), repeats: 1 }),
  );
  const value = (median(milliseconds) / 1000 / update) * 100;
  return [{ figure: 'step weights, share of the update', value, unit: '%', atMost: 0.1 }];
}

/** Eight steps, each followed by an observation of the same length. */
function randomTrajectory(length: number, random: Random): Trajectory {
  const mask = Uint8Array.from({ length }, (_, t) => (Math.floor((t * 16) / length) % 2 === 0 ? 1 : 0));
  const logprobs = Float32Array.from(mask, sampled => sampled * -Math.abs(random.normal()));
  const tokens = Array.from({ length }, () => random.below(1000));
  return { taskId: '', tokens, promptTokens: 0, mask, logprobs, steps: [], end: 'answer', reward: 0, correct: false };
}
