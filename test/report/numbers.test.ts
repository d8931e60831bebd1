import { expect, test } from 'vitest';
import { percent, percentText } from '../../src/report/numbers.ts';

test('a fraction is rounded once, however it is written', () => {
  expect(percent(0.83447)).toBe(83.45);
  expect(percentText(0.83447, 2)).toBe('83.45');
  expect(percentText(0.83447, 1)).toBe('83.4');
});
