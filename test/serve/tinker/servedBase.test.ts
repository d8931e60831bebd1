import { expect, test } from 'vitest';
import { servedBase } from '../../../src/serve/tinker/servedBase.ts';

test('a sequence may be as long as its keys and values have room, which are in 16 bits on a CPU alone', () => {
  const contextOf = (device: 'cpu' | 'gpu', dtype: 'f32' | 'bf16') =>
    servedBase('test/vectors/qwen3-tiny-tied', { device, dtype, cacheBytes: 1 << 13 }).contextTokens;
  const whole = contextOf('cpu', 'f32');
  expect(whole).toBeGreaterThan(1);
  expect(contextOf('cpu', 'bf16')).toBe(2 * whole);
  expect(contextOf('gpu', 'bf16')).toBe(whole);
});
