import { configOf } from '../../checkpoint/checkpoint.ts';
import type { WorkerOptions } from '../../engine/local/protocol.ts';
import { settled } from '../../engine/local/settings.ts';
import type { ModelConfig } from '../../model/config.ts';
import { modelName } from '../../modelName.ts';

/** A checkpoint that clients may train and sample from. */
export interface ServedBase {
  name: string;
  folder: string;
  config: ModelConfig;
  /** Most tokens of a sequence, its prompt included. */
  contextTokens: number;
}

/** @throws UserError where the folder holds no model */
export function servedBase(folder: string, options: Partial<WorkerOptions>): ServedBase {
  const config = configOf(folder);
  const { cacheBytes, dtype } = settled(options, config);
  const bytesPerToken = config.layers * 2 * config.kvHeads * config.headDim * (dtype === 'bf16' ? 2 : 4);
  const contextTokens = Math.min(config.maxPositions, Math.floor(cacheBytes / bytesPerToken));
  return { name: modelName(folder), folder, config, contextTokens };
}
