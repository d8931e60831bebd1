import type { AdamParams, Completion, Datum, Sampler, Scorer, Trainer } from '../../../src/engine/types.ts';
import { lossWeights } from '../../../src/methods/aggregation.ts';
import { distillationAdvantages } from '../../../src/methods/distillation.ts';
import { stepRanges } from '../../../src/methods/stepwise.ts';
import { Clock } from '../../../src/train/clock.ts';

export type DistillationPhase = 'rollout' | 'teacher' | 'update';

const adam: AdamParams = { learningRate: 1e-6, betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0.01, clipNorm: 1 };

/**
 * One update of on-policy distillation as `src/train/onPolicy.ts` makes it, where there are no tools: `samples` completions of
 * `steps` tokens behind each prompt, the teacher's view of them, and the policy gradient of the reverse KL divergence.
 * @returns the seconds of each phase
 */
export async function distillationUpdate(
  { trainer, sampler, teacher }: { trainer: Trainer; sampler: Sampler; teacher: Scorer },
  prompts: readonly (readonly number[])[],
  samples: number,
  steps: number,
): Promise<Record<DistillationPhase, number>> {
  const clock = new Clock<DistillationPhase>();
  const asked = prompts.flatMap(prompt => Array<readonly number[]>(samples).fill(prompt));
  const completions = await clock.time('rollout', () =>
    Promise.all(asked.map((prompt, seed) => sampler.generate(prompt, { maxTokens: steps, seed }))),
  );
  const trajectories = asked.map((prompt, i) => trajectory(prompt, completions[i]));
  const scores = await clock.time('teacher', () => teacher.score(trajectories));
  await clock.time('update', async () => {
    const weights = lossWeights(trajectories.map(({ mask }) => mask));
    const data = trajectories.map((taken, i) => datum(taken, weights[i], scores[i].logprobs));
    await trainer.forwardBackward(data, { kind: 'importance_sampling' });
    await trainer.optimStep(adam);
  });
  return clock.seconds as Record<DistillationPhase, number>;
}

interface Trajectory {
  tokens: number[];
  /** 1 where a token was sampled. */
  mask: Uint8Array;
  logprobs: Float32Array;
}

function trajectory(prompt: readonly number[], { tokens, logprobs }: Completion): Trajectory {
  const all = [...prompt, ...tokens];
  return {
    tokens: all,
    mask: new Uint8Array(all.length).fill(1, prompt.length),
    logprobs: Float32Array.from([...prompt.map(() => 0), ...logprobs]),
  };
}

function datum({ tokens, mask, logprobs }: Trajectory, weights: Float32Array, teacher: Float32Array): Datum {
  return {
    tokens,
    weights,
    advantages: distillationAdvantages(stepRanges(mask), [1], 0, logprobs, teacher),
    behaviourLogprobs: logprobs,
  };
}
