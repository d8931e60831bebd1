import fc from 'fast-check';
import { expect, test } from 'vitest';
import { grpo } from '../../src/methods/grpo.ts';
import { naiveOpd, opd } from '../../src/methods/opd.ts';
import { outcomeAdvantages } from '../../src/methods/outcome.ts';
import { methods } from '../../src/methods/registry.ts';
import { sft } from '../../src/methods/sft.ts';
import { sod } from '../../src/methods/sod.ts';
import vectors from '../vectors/grpo.json' with { type: 'json' };
import { scored, step, trajectory } from './trajectories.ts';

test.each(vectors)('outcome advantages of $rewards', ({ rewards, normalizeByStd, advantages }) => {
  const actual = outcomeAdvantages(rewards, { normalizeByStd });
  for (const [i, a] of advantages.entries()) expect(Math.abs(actual[i] - a)).toBeLessThan(1e-6);
});

const groups = fc.array(scored, { minLength: 1, maxLength: 4 }).map(members => ({
  group: members.map(m => m.trajectory),
  teacher: members.map(m => m.teacher),
}));

test('no method teaches prompt or observation tokens', () => {
  fc.assert(
    fc.property(groups, ({ group, teacher }) => {
      for (const make of Object.values(methods)) {
        for (const [i, advantages] of make().advantages(group, teacher).advantages.entries()) {
          expect(advantages.length).toBe(group[i].tokens.length);
          expect(advantages.filter((_, t) => group[i].mask[t] === 0).every(a => a === 0)).toBe(true);
        }
      }
    }),
  );
});

test('opd and sod agree on the first step, and sod without distillation is grpo', () => {
  fc.assert(
    fc.property(groups, ({ group, teacher }) => {
      const bySod = sod().advantages(group, teacher);
      const byOpd = opd().advantages(group, teacher);
      for (const [i, { mask }] of group.entries()) {
        const start = mask.indexOf(1);
        const gap = start < 0 ? -1 : mask.indexOf(0, start);
        const end = gap < 0 ? mask.length : gap;
        expect(bySod.advantages[i].slice(0, end)).toEqual(byOpd.advantages[i].slice(0, end));
      }
      expect(sod({ lambda: 0 }).advantages(group, teacher).advantages).toEqual(grpo().advantages(group).advantages);
    }),
  );
});

test("a token's log-ratio counts up to maxLogRatio, and the steps weigh what they weigh", () => {
  fc.assert(
    fc.property(groups, fc.double({ min: 0.01, max: 5, noNaN: true }), ({ group, teacher }, maxLogRatio) => {
      const options = { outcome: false } as const;
      const free = sod(options).advantages(group, teacher);
      const bounded = sod({ ...options, maxLogRatio }).advantages(group, teacher);
      expect(bounded.steps).toEqual(free.steps);
      for (const [i, { logprobs, mask }] of group.entries()) {
        let step = -1;
        for (const [t, advantage] of bounded.advantages[i].entries()) {
          if (mask[t] === 1 && mask[t - 1] !== 1) step++;
          const isSmall = Math.abs(teacher[i][t] - logprobs[t]) <= maxLogRatio;
          if (isSmall || mask[t] === 0) expect(advantage).toBe(free.advantages[i][t]);
          else expect(Math.abs(advantage)).toBeCloseTo(bounded.steps![i].weight[step] * maxLogRatio, 4);
        }
      }
    }),
  );
});

test('a teacher that agrees with the student leaves the outcome alone', () => {
  fc.assert(
    fc.property(groups, ({ group }) => {
      const agreeing = group.map(t => t.logprobs);
      expect(sod().advantages(group, agreeing).advantages).toEqual(grpo().advantages(group).advantages);
    }),
  );
});

test('a method that distils refuses to work without a teacher', () => {
  for (const make of Object.values(methods)) {
    if (make.teacher) expect(() => make().advantages([])).toThrow(/teacher/);
    else expect(() => make().advantages([])).not.toThrow();
  }
});

/** Three steps of two tokens, of which the call of the second failed; the teacher disagrees more and more. */
const drifting = trajectory({
  mask: Uint8Array.of(0, 1, 1, 0, 1, 1, 0, 1, 1),
  logprobs: Float32Array.of(0, -1, -1, 0, -1, -1, 0, -1, -1),
  steps: [step({ observation: '7' }), step({ observation: 'Error', error: 'exception' }), step()],
  reward: 1,
});
const other = { ...drifting, reward: -1 };
const disagreeing = Float32Array.of(0, -2, -2, 0, -3, -3, 0, -5, -5);
const weightsOf = (options: Parameters<typeof sod>[0]) =>
  sod(options).advantages([drifting, other], [disagreeing, disagreeing]).steps![0].weight;

test('the ablations weigh steps as they say', () => {
  expect(weightsOf({ weighting: 'uniform' })).toEqual([1, 1, 1]);
  expect(weightsOf({ weighting: 'mask' })).toEqual([1, 1, 0]);
  expect(weightsOf({ weighting: 'decay' })).toEqual([1, 1, 0.9]);
  expect(weightsOf({})[2]).toBeCloseTo(1 / 4, 5);
  expect(weightsOf({ weighting: 'decay', decay: 0.5 })).toEqual([1, 1, 0.5]);
});

test('a masked step gets exactly the outcome', () => {
  const group = [drifting, other];
  const masked = sod({ weighting: 'mask' }).advantages(group, [disagreeing, disagreeing]).advantages;
  const outcome = grpo().advantages(group).advantages;
  for (const i of [0, 1]) expect(masked[i].slice(7)).toEqual(outcome[i].slice(7));
});

test('without an upper clip the weight is the whole product, with it at most 1 + δ', () => {
  const recovering = Float32Array.of(0, -5, -5, 0, -3, -3, 0, -2, -2);
  const weights = (delta: number | 'none') => sod({ delta }).advantages([drifting], [recovering]).steps![0].weight;
  expect(weights(0.2)).toEqual([1, 1.2, 1.2]);
  expect(weights('none')[2]).toBeCloseTo(4, 4);
});

test('without the outcome, rewards change nothing; naive opd is that with uniform weights', () => {
  fc.assert(
    fc.property(groups, ({ group, teacher }) => {
      const alone = sod({ outcome: false });
      const otherwise = group.map((member, i) => ({ ...member, reward: i }));
      expect(alone.advantages(group, teacher)).toEqual(alone.advantages(otherwise, teacher));
      expect(naiveOpd().advantages(group, teacher)).toEqual(
        sod({ weighting: 'uniform', outcome: false }).advantages(group, teacher),
      );
    }),
  );
});

test('sft learns the expert’s own tokens, as far as they fit', () => {
  const demonstration = { tokens: [5, 6, 7, 8], mask: Uint8Array.of(0, 1, 0, 1) };
  expect(sft(demonstration)).toEqual({ tokens: [5, 6, 7, 8], mask: Uint8Array.of(0, 1, 0, 1) });
  expect(sft(demonstration, 3)).toEqual({ tokens: [5, 6, 7], mask: Uint8Array.of(0, 1, 0) });
});
