import { expect, test } from 'vitest';
import { aroundErrors, distillationDiagnostics, patternOf, rolloutDiagnostics } from '../../src/methods/diagnostics.ts';
import { opd } from '../../src/methods/opd.ts';
import { step, trajectory } from './trajectories.ts';

test("the paper's own cases are told apart", () => {
  expect(patternOf([1, 1.05, 1.2])).toBe('stable');
  expect(patternOf([1, 0.5, 0.3, 0.17])).toBe('erroneous');
  expect(patternOf([1, 0.73, 0.56, 0.41, 0.76, 1.12, 1.2])).toBe('recovery');
});

test('divergence and weights are reported by step index, over the trajectories that have the step', () => {
  const student = (...logprobs: number[]) =>
    trajectory({ mask: Uint8Array.from(logprobs, p => Number(p !== 0)), logprobs: Float32Array.from(logprobs) });
  const group = [student(0, -1, 0, -1), student(0, -1)];
  const teacher = [Float32Array.of(0, -1.5, 0, -3), Float32Array.of(0, -2.5)];
  const result = distillationDiagnostics(group, teacher, opd().advantages(group, teacher).steps!);
  expect(result.divergenceByStep.map(d => [d.count, d.mean])).toEqual([
    [2, 1],
    [1, 2],
  ]);
  expect(result.weightByStep.map(d => d.mean)).toEqual([1, 1]);
  expect(result.patterns).toEqual({ stable: 0.5, erroneous: 0.5, recovery: 0 });
  expect(result.reverseKl).toBeCloseTo((0.5 + 2 + 1.5) / 3, 6);
});

test('rollouts are counted by their observations', () => {
  const parts = { mask: Uint8Array.of(0, 1, 1), logprobs: new Float32Array(3) };
  const solved = trajectory({
    ...parts,
    steps: [step({ observation: '7' }), step({ observation: 'Error', error: 'exception' }), step()],
    reward: 1,
    correct: true,
  });
  const failed = trajectory({ ...parts, steps: [step()], reward: -1 });
  expect(rolloutDiagnostics([solved, failed])).toEqual({
    reward: 0,
    accuracy: 0.5,
    toolTurns: 1,
    toolSuccessRate: 0.5,
    responseTokens: 2,
  });
  expect(rolloutDiagnostics([failed]).toolSuccessRate).toBe(1);
});

test('divergence and teacher entropy are told apart before and after the first tool error', () => {
  const mask = Uint8Array.of(0, 1, 0, 1, 1, 0, 1);
  const logprobs = new Float32Array(7);
  const erring = trajectory({
    mask,
    logprobs,
    steps: [step({ observation: '7' }), step({ error: 'exception' }), step()],
  });
  const untouched = trajectory({ mask: Uint8Array.of(0, 1), logprobs: new Float32Array(2), steps: [step()] });
  const steps = [
    { divergence: [1, 2, 6], weight: [1, 1, 1] },
    { divergence: [0.5], weight: [1] },
  ];
  const entropies = [Float32Array.of(0, 0.25, 0, 0.5, 1, 0, 3), Float32Array.of(0, 0.125)];
  expect(aroundErrors([erring, untouched], steps, entropies)).toEqual({
    untouched: { steps: 1, divergence: 0.5, teacherEntropy: 0.125 },
    before: { steps: 2, divergence: 1.5, teacherEntropy: 0.5 },
    after: { steps: 1, divergence: 6, teacherEntropy: 3 },
  });
  expect(aroundErrors([untouched], [steps[1]], [undefined]).after).toEqual({ steps: 0 });
});
