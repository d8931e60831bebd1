import { expect, test } from 'vitest';
import { parseConfig } from '../../src/model/config.ts';
import { publishedConfigs } from '../../src/model/published.ts';
import { accelerators, assumptions, timeOn } from '../../src/train/clusterTime.ts';

const shape = (name: string) => parseConfig(publishedConfigs[name], name);
const work = {
  model: shape('Qwen/Qwen3-0.6B'),
  teacher: shape('Qwen/Qwen3-4B'),
  trainsAll: true,
  iterations: 120,
  sequences: 1024,
  promptTokens: 2560,
  responseTokens: 20_480,
};
const gpu = accelerators.find(({ name }) => name === 'H200')!;

test('scoring and training are divided among the accelerators; rollouts are not, for the longest response is one’s own', () => {
  const [one, eight, many] = [1, 8, 1024].map(count => timeOn(gpu, count, work));
  expect(eight.teacher).toBeCloseTo(one.teacher / 8, 6);
  expect(eight.training).toBeCloseTo(one.training / 8, 6);
  expect(eight.rollouts).toBeGreaterThan(one.rollouts / 8);
  expect(one.rollouts).toBeGreaterThan(eight.rollouts);
  const longest = work.iterations * (work.responseTokens * assumptions.leastStep + assumptions.toolSeconds);
  expect(many.rollouts).toBeCloseTo(longest, 6);
  expect(eight.rollouts).toBeGreaterThan(longest);
});

test('a step takes its least time, however few there are, and the weights’ way from memory where that is longer', () => {
  const small = timeOn(gpu, 1, { ...work, sequences: 1, responseTokens: 100 });
  const tokens = -Math.log(0.5) * assumptions.meanResponse * 100;
  expect(small.rollouts).toBeCloseTo(120 * (tokens * assumptions.leastStep + assumptions.toolSeconds), 6);
  const slow = timeOn({ ...gpu, bandwidth: 1e9 }, 1, { ...work, sequences: 1, responseTokens: 100 });
  expect(slow.rollouts).toBeGreaterThan(120 * tokens * (2 * 596e6) * 1e-9);
});

test('without a teacher none is waited for', () => {
  expect(timeOn(gpu, 8, { ...work, teacher: undefined }).teacher).toBe(0);
});

test('where adapters are trained, no gradients of the weights are computed', () => {
  const [all, adapters] = [true, false].map(trainsAll => timeOn(gpu, 8, { ...work, trainsAll }));
  expect(adapters.training).toBeCloseTo((2 / 3) * all.training, 6);
});
