import fc from 'fast-check';
import { expect, test } from 'vitest';
import { taskIndices } from '../../src/train/order.ts';

test('every epoch holds every task once, in another order', () => {
  const order = taskIndices(7, 0, 40, 20);
  expect(order.slice(0, 20).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(order.slice(20).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(order.slice(20)).not.toEqual(order.slice(0, 20));
});

test('a run that begins anywhere sees what an uninterrupted one sees there', () => {
  const tasks = fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined });
  fc.assert(
    fc.property(fc.nat(100), fc.nat(50), fc.nat(50), tasks, (seed, before, after, size) => {
      expect(taskIndices(seed, before, after, size)).toEqual(taskIndices(seed, 0, before + after, size).slice(before));
    }),
  );
});
