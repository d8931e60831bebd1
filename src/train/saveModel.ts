import { rmSync } from 'node:fs';
import type { Trainer } from '../engine/types.ts';
import { replaceFolder, temporaryFolder } from '../files.ts';
import { writeAgentFile } from '../tools/agentFile.ts';
import type { Recipe } from './recipe.ts';

/** Writes the model as a whole, with what an agent needs to know of its tool. */
export async function saveModel(trainer: Trainer, { tool }: Recipe, folder: string): Promise<void> {
  const temporary = temporaryFolder(folder);
  rmSync(temporary, { recursive: true, force: true });
  await trainer.save(temporary);
  writeAgentFile(temporary, tool);
  replaceFolder(temporary, folder);
}
