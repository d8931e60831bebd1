import fc from 'fast-check';
import { expect, test } from 'vitest';
import { grpo } from '../../src/methods/grpo.ts';
import { opd } from '../../src/methods/opd.ts';
import { outcomeAdvantages } from '../../src/methods/outcome.ts';
import { sft } from '../../src/methods/sft.ts';
import { sod } from '../../src/methods/sod.ts';
import vectors from '../vectors/grpo.json' with { type: 'json' };
import { scored } from './trajectories.ts';

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
      for (const method of [grpo(), opd(), sod()]) {
        for (const [i, advantages] of method.advantages(group, teacher).advantages.entries()) {
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

test('a teacher that agrees with the student leaves the outcome alone', () => {
  fc.assert(
    fc.property(groups, ({ group }) => {
      const agreeing = group.map(t => t.logprobs);
      expect(sod().advantages(group, agreeing).advantages).toEqual(grpo().advantages(group).advantages);
    }),
  );
});

test('a method that distils refuses to work without a teacher', () => {
  expect(sod().needsTeacher && opd().needsTeacher).toBe(true);
  expect(() => sod().advantages([])).toThrow(/teacher/);
});

test('sft learns the expert’s own tokens, as far as they fit', () => {
  const demonstration = { tokens: [5, 6, 7, 8], mask: Uint8Array.of(0, 1, 0, 1) };
  expect(sft(demonstration)).toEqual({ tokens: [5, 6, 7, 8], weights: Float32Array.of(0, 1, 0, 1) });
  expect(sft(demonstration, 3)).toEqual({ tokens: [5, 6, 7], weights: Float32Array.of(0, 1, 0) });
});
