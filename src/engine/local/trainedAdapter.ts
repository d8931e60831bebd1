import { isAdapter, readFactors } from '../../checkpoint/adapter.ts';
import { refuseOtherBase, weightsDigest } from '../../checkpoint/baseRecord.ts';
import { readCheckpoint, writeCheckpoint } from '../../checkpoint/checkpoint.ts';
import { mergeFactors } from '../../checkpoint/mergeAdapter.ts';
import { writeAdapter } from '../../checkpoint/writeAdapter.ts';
import { UserError } from '../../errors.ts';
import { tensorShapes } from '../../model/config.ts';
import { factorsOf, namedFactors } from '../../model/lora.ts';
import type { Weights } from '../../model/weights.ts';
import type { LoraOptions } from '../types.ts';
import { storedParts } from './trainerFiles.ts';

/** Adapters that are trained, and what they are trained over. */
export interface TrainedAdapter {
  lora: LoraOptions;
  weights: Weights;
  /** The checkpoint, and the digest of its weights. */
  base: string;
  baseDigest: string;
}

/** As PEFT writes it, in exact fp32. */
export async function saveAdapter(
  dir: string,
  { weights, ...adapter }: TrainedAdapter,
  extra: (folder: string) => void,
): Promise<void> {
  const { training } = weights;
  await writeAdapter(dir, { ...adapter, tensors: storedParts(training!, training!.parameters) }, extra);
}

/** The whole model, in the dtype that the base has. @throws UserError where the base's files are others by now */
export async function saveMerged(dir: string, { lora, weights, base, baseDigest }: TrainedAdapter): Promise<void> {
  if (weightsDigest(base) !== baseDigest) {
    throw new UserError(`${base} has other weights than these adapters were trained over: bring the old ones back`);
  }
  const { training } = weights;
  const factors = factorsOf(storedParts(training!, training!.parameters), lora.alpha / lora.rank);
  const { config, tensors, close } = readCheckpoint(base);
  try {
    await writeCheckpoint(dir, config, mergeFactors(tensors, factors), { from: base });
  } finally {
    close();
  }
}

/** Sets the factors to those of a folder. @throws UserError where it has others than are trained here, or of another base */
export function loadAdapter(folder: string, { lora, weights, base, baseDigest }: TrainedAdapter): void {
  if (!isAdapter(folder)) throw new UserError(`${folder} holds no adapter, and adapters of ${base} are trained here`);
  refuseOtherBase(folder, base, () => baseDigest);
  const training = weights.training!;
  const factors = readFactors(folder, tensorShapes(weights.config));
  const stored = new Map([...factors].flatMap(([module, own]) => namedFactors(module, own)));
  const fits = [...training.ranges].every(([name, { shape }]) => `${stored.get(name)?.shape}` === `${shape}`);
  const scales = [...factors.values()].every(({ scale }) => scale === lora.alpha / lora.rank);
  if (!fits || !scales || stored.size !== training.ranges.size) {
    throw new UserError(`${folder} holds adapters of another rank, alpha or other targets than are trained here`);
  }
  for (const [name, tensor] of stored) training.set(name, tensor.read());
}
