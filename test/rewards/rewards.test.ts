import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lastBoxed, mathReward } from '../../src/rewards/math.ts';
import { overlongPenalty } from '../../src/rewards/overlong.ts';
import { dialogueTurns, shapedScore } from '../../src/rewards/shaping.ts';
import mathVectors from '../vectors/mathReward.json' with { type: 'json' };
import overlongVectors from '../vectors/overlong.json' with { type: 'json' };

test.each(mathVectors)('$solution against $groundTruth', vector => {
  const { score, correct, predicted } = mathReward(vector.solution, vector.groundTruth);
  expect({ score, correct, predicted: predicted ?? null }).toEqual({
    score: vector.score,
    correct: vector.correct,
    predicted: vector.predicted,
  });
  expect(shapedScore(score, vector.turns)).toBeCloseTo(vector.shapedScore, 12);
});

test.each(overlongVectors)('a response of $responseLength of $maxResponseLength tokens', vector => {
  const penalty = overlongPenalty(vector.responseLength, vector.maxResponseLength, vector.bufferLength);
  expect(penalty).toBeCloseTo(vector.penalty, 6);
});

test('a box gives back any content with balanced braces', () => {
  const { content } = fc.letrec(tie => ({
    content: fc.array(fc.oneof(fc.stringMatching(/^[^{}\\]+$/), tie('group')), { maxLength: 3 }).map(s => s.join('')),
    group: tie('content').map(inner => `{${inner}}`),
  }));
  fc.assert(
    fc.property(content, inner => {
      expect(lastBoxed(`\\boxed{0} \\boxed{${inner}} end }`)).toBe(inner);
    }),
  );
});

test('a box that begins more than 100 characters before the end does not count', () => {
  const box = '\\boxed{7}';
  expect(mathReward(box + 'é'.repeat(100 - box.length), '7').correct).toBe(true);
  expect(mathReward(box + '😀'.repeat(100 - box.length), '7').correct).toBe(true);
  expect(mathReward(box + 'é'.repeat(101 - box.length), '7').correct).toBe(false);
});

test.each([
  ['$\\boxed 5$', '5'],
  ['so $\\boxed \\frac12$.', '\\frac12'],
  ['$\\fbox{7}$', '7'],
  ['\\[ \\boxed{1} \\fbox{\\frac{1}{2}} \\]', '\\frac{1}{2}'],
  ['\\boxed{1', undefined],
  ['\\boxedness 5', undefined],
])('the box of %s', (text, content) => {
  expect(lastBoxed(text)).toBe(content);
});

test('a direct answer has 2 turns, each tool call adds 2', () => {
  const answer = { start: 0, end: 1, text: '' };
  const call = { ...answer, observation: '42' };
  expect(dialogueTurns({ steps: [answer] })).toBe(2);
  expect(dialogueTurns({ steps: [call, call, answer] })).toBe(6);
});
