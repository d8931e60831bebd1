import { expect, onTestFinished, test, vi } from 'vitest';
import { fasterDevice, keepMeasured } from '../../../src/engine/local/measuredDevice.ts';
import { settled } from '../../../src/engine/local/settings.ts';
import { temporaryFolder } from '../tinyModel.ts';

test('auto is the CPU until a GPU was measured that is clearly faster in all that counts', () => {
  vi.stubEnv('XDG_CACHE_HOME', temporaryFolder());
  onTestFinished(() => void vi.unstubAllEnvs());
  const cpu = { flops: 4e11, bytes: 2e10 };
  expect(fasterDevice()).toBe('cpu');
  keepMeasured({ cpu });
  expect(fasterDevice()).toBe('cpu');
  keepMeasured({ cpu, gpu: { name: 'slow', flops: 6e11, bytes: 1e12 } });
  expect(fasterDevice()).toBe('cpu');
  keepMeasured({ cpu, gpu: { name: 'fast', flops: 1e13, bytes: 1e12 } });
  expect(settled({})).toMatchObject({ device: 'gpu', dtype: 'bf16', quantized: 'whole' });
  expect(settled({ device: 'cpu' })).toMatchObject({ device: 'cpu', dtype: 'bf16', quantized: 'auto' });
});

test('what a GPU cannot do is refused by its key', () => {
  expect(() => settled({ device: 'gpu', quantized: 'blocks' })).toThrow(/engine\.quantized/);
});
