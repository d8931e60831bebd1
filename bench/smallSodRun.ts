import { join } from 'node:path';
import { readCheckpoint, writeCheckpoint } from '../src/checkpoint/checkpoint.ts';
import { initializeCheckpoint } from '../src/train/initialize.ts';
import type { RecipeInput } from '../src/train/recipe.ts';
import { openWorld } from '../src/worlds/open.ts';

export const smallShape = {
  hiddenSize: 32,
  intermediateSize: 64,
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 16,
  tieEmbeddings: true,
};

/** Two models that know nothing, made in `folder`. */
export async function writeSmallModels(folder: string): Promise<{ student: string; teacher: string }> {
  const models = { student: join(folder, 'student'), teacher: join(folder, 'teacher') };
  const { world, close } = await openWorld('shop');
  await initializeCheckpoint(models.student, smallShape, world, 1);
  await close();
  await writeOther(models.teacher, models.student);
  return models;
}

/** Another model of chance: the same numbers, each tensor's from back to front. A second tokenizer would take seconds to learn. */
async function writeOther(dir: string, model: string): Promise<void> {
  const { config, tensors, close } = readCheckpoint(model);
  const reversed = tensors.map(tensor => ({ ...tensor, read: () => tensor.read().reverse() }));
  await writeCheckpoint(dir, config, reversed, { from: model });
  close();
}

/** A SOD run of seconds, to be killed and resumed. */
export function smallSodRun(models: { student: string; teacher: string }): RecipeInput {
  return {
    method: 'sod',
    model: models.student,
    teacher: models.teacher,
    rollout: { groupSize: 2, maxResponseTokens: 24, maxTurns: 2 },
    training: { iterations: 8, promptsPerIteration: 4, promptsPerUpdate: 2 },
    optimizer: { learningRate: 1e-3 },
    save: { every: 2 },
  };
}
