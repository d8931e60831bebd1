import { expect, onTestFinished, test, vi } from 'vitest';
import { fasterDevice } from '../../../src/engine/local/fasterDevice.ts';
import { keepMeasured } from '../../../src/engine/local/measurements.ts';
import { settled } from '../../../src/engine/local/settings.ts';
import { parseConfig } from '../../../src/model/config.ts';
import { qwen3Small } from '../../../src/model/published.ts';
import { temporaryFolder } from '../tinyModel.ts';

const large = parseConfig(qwen3Small);
const small = { ...large, hiddenSize: 64, intermediateSize: 128, layers: 2, vocabSize: 512 };

test('auto is the CPU until a GPU was measured that is clearly faster for the model', () => {
  vi.stubEnv('XDG_CACHE_HOME', temporaryFolder());
  onTestFinished(() => void vi.unstubAllEnvs());
  const cpu = { flops: 4e11, bytes: 2e10, kernelSeconds: 1e-6, answerSeconds: 1e-6 };
  const fast = { name: 'fast', flops: 1e13, bytes: 1e12, kernelSeconds: 5e-6, answerSeconds: 2e-4 };
  expect(fasterDevice(large)).toBe('cpu');
  keepMeasured({ cpu });
  expect(fasterDevice(large)).toBe('cpu');
  keepMeasured({ cpu, gpu: { ...fast, flops: 6e11 } });
  expect(fasterDevice(large)).toBe('cpu');
  keepMeasured({ cpu, gpu: fast });
  expect(settled({}, large)).toMatchObject({ device: 'gpu', dtype: 'bf16', quantized: 'whole' });
  expect(settled({}, small).device).toBe('cpu');
  expect(settled({ device: 'cpu' }, large)).toMatchObject({ device: 'cpu', dtype: 'bf16', quantized: 'auto' });
  expect(settled({ quantized: 'blocks' }, large).device).toBe('cpu');
  keepMeasured({ gpu: fast });
  expect(settled({}, small).device).toBe('gpu');
});

test('what a GPU cannot do is refused by its key', () => {
  expect(() => settled({ device: 'gpu', quantized: 'blocks' })).toThrow(/engine\.quantized/);
});
