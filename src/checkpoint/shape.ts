import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readJson } from '../documents.ts';
import { currentFolder } from '../files.ts';
import { isGguf } from '../gguf/header.ts';
import { bytesInBlocks } from '../model/blocks.ts';
import { type ModelConfig, parseConfig } from '../model/config.ts';
import { adapterBase } from './adapter.ts';
import { readGgufCheckpoint } from './ggufFile.ts';

/**
 * The shape of a checkpoint, whose weights need not be there; undefined where there is none.
 * @throws UserError where it is damaged, or of a model that is not computed here.
 */
export function readShape(checkpoint: string): ModelConfig | undefined {
  if (isGguf(checkpoint)) {
    if (!existsSync(checkpoint)) return undefined;
    const { config, close } = readGgufCheckpoint(checkpoint);
    close();
    return config;
  }
  const folder = currentFolder(checkpoint);
  const base = adapterBase(folder);
  if (base) return readShape(base);
  const file = join(folder, 'config.json');
  return existsSync(file) ? parseConfig(readJson(file), file) : undefined;
}

/** Bytes of all weights of a checkpoint that is here and stores them in blocks, as it does; undefined where it does not. */
export function readBlockBytes(checkpoint: string, dtype: 'f32' | 'bf16'): number | undefined {
  if (!isGguf(checkpoint) || !existsSync(checkpoint)) return undefined;
  const { tensors, close } = readGgufCheckpoint(checkpoint);
  close();
  return bytesInBlocks(tensors, dtype);
}
