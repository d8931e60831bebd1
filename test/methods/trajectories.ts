import fc from 'fast-check';
import type { Step, Trajectory } from '../../src/agent/trajectory.ts';

export function trajectory(parts: Partial<Trajectory> & { mask: Uint8Array; logprobs: Float32Array }): Trajectory {
  const tokens = [...parts.mask.keys()];
  return { taskId: 't', tokens, promptTokens: 1, steps: [], end: 'answer', reward: 0, correct: false, ...parts };
}

export function step(parts: Partial<Step> = {}): Step {
  return { start: 0, end: 1, text: '', ...parts };
}

/** A trajectory with a teacher's log-probabilities beside it; the first token is the prompt. */
export const scored = fc
  .array(
    fc.tuple(fc.boolean(), fc.double({ min: -6, max: 0, noNaN: true }), fc.double({ min: -6, max: 0, noNaN: true })),
  )
  .chain(rows =>
    fc.integer({ min: -1, max: 1 }).map(reward => {
      const mask = Uint8Array.from([0, ...rows.map(([sampled]) => Number(sampled))]);
      const logprobs = Float32Array.from([0, ...rows.map(([sampled, s]) => (sampled ? s : 0))]);
      const teacher = Float32Array.from([0, ...rows.map(([, , q]) => q)]);
      return { trajectory: trajectory({ mask, logprobs, reward }), teacher };
    }),
  );
