import { UserError } from '../../errors.ts';
import type { ModelConfig } from '../../model/config.ts';
import { fasterDevice } from './fasterDevice.ts';
import { engineDefaults, type WorkerOptions } from './protocol.ts';

/** Where an engine computes, and in which precision. */
export interface Settings extends WorkerOptions {
  device: 'cpu' | 'gpu';
  dtype: 'f32' | 'bf16';
}

/**
 * What settings stand for on this machine, for that model. A CPU that multiplies no bf16 has it still, for it is half the memory to read,
 * and so has a GPU for weights, which computes in f32, from whole weights: `auto` is no GPU where they are to be in blocks.
 * @throws UserError where a device cannot do what is asked of it
 */
export function settled(options: Partial<WorkerOptions>, model?: ModelConfig): Settings {
  const settings = { ...engineDefaults, ...options };
  const device =
    settings.device !== 'auto' ? settings.device : settings.quantized === 'blocks' ? 'cpu' : fasterDevice(model);
  const dtype = settings.dtype === 'auto' ? 'bf16' : settings.dtype;
  if (device === 'cpu') return { ...settings, device, dtype };
  if (settings.quantized === 'blocks') {
    throw new UserError('engine.quantized is blocks, and on a GPU weights are whole: leave it out');
  }
  return { ...settings, device, dtype, quantized: 'whole' };
}
