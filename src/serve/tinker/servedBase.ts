import { configOf } from '../../checkpoint/checkpoint.ts';
import { tokensInCache } from '../../engine/local/memoryNeed.ts';
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
  const contextTokens = Math.min(config.maxPositions, tokensInCache(config, settled(options, config)));
  return { name: modelName(folder), folder, config, contextTokens };
}
