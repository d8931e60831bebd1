import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../../documents.ts';
import { UserError } from '../../errors.ts';
import { writeFileWhole } from '../../files.ts';
import type { Dtype } from '../../model/dtype.ts';
import { SafetensorsFile, type StoredTensor, writeSafetensors } from '../../model/safetensors.ts';
import type { TrainedParameters } from '../../model/trainedParameters.ts';
import { firstIssue } from '../../schema.ts';
import { scope, type Tensor } from '../../tensor/tensor.ts';
import { kernelsSchema } from './kernels.ts';

/**
 * What is kept beside trained weights to go on bit for bit. The optimizer's state is in a folder of its own: other programs take every
 * safetensors file beside the weights for weights.
 */
const optimizerFile = join('optimizer', 'moments.safetensors');
const optimizerFileOnce = 'optimizer.safetensors';
const trainerFile = 'trainer.json';
const optimizersState = "the optimizer's state";

const trainerSchema = z.object({
  version: z.int().nonnegative(),
  /** What the weights were computed by so far; runs of earlier versions do not say. */
  kernels: z.array(kernelsSchema).default([]),
});
export type TrainerState = z.output<typeof trainerSchema>;

/** The parts of a flat tensor as a checkpoint stores them. */
export function storedParts(
  { ranges }: TrainedParameters,
  flat: Tensor,
  dtypeOf: (name: string) => Dtype = () => 'F32',
): StoredTensor[] {
  return [...ranges].map(([name, { offset, shape }]) => ({
    name,
    dtype: dtypeOf(name),
    shape,
    read: () => scope(() => flat.view(offset, shape).floats() as Float32Array<ArrayBuffer>),
  }));
}

/** Sets a flat tensor. @param what people are told of what is damaged @throws UserError if a part is missing, or has another shape */
export function fillParts(
  { ranges }: TrainedParameters,
  flat: Tensor,
  tensors: ReadonlyMap<string, StoredTensor>,
  what: string,
  prefix = '',
): void {
  for (const [name, { offset, shape }] of ranges) {
    const tensor = tensors.get(prefix + name);
    if (!tensor) throw new UserError(`${what} lacks ${prefix}${name}: take an earlier checkpoint`);
    if (`${tensor.shape}` !== `${shape}`) {
      throw new UserError(
        `${what} has ${prefix}${name} of shape [${tensor.shape}], where the model has [${shape}]: take a checkpoint of this model`,
      );
    }
    scope(() => flat.view(offset, shape).write(tensor.read()));
  }
}

export function writeTrainer(folder: string, training: TrainedParameters, state: TrainerState): void {
  const moments = { first: training.firstMoments, second: training.secondMoments };
  const tensors = Object.entries(moments).flatMap(([moment, flat]) =>
    storedParts(training, flat).map(tensor => ({ ...tensor, name: `${moment}.${tensor.name}` })),
  );
  mkdirSync(dirname(join(folder, optimizerFile)));
  writeSafetensors(join(folder, optimizerFile), tensors);
  writeFileWhole(join(folder, trainerFile), `${JSON.stringify(state)}\n`);
}

/**
 * Sets the optimizer's moments to those of a folder.
 * @returns undefined where it has none
 * @throws UserError if it is damaged, or lacks them and they are `required`
 */
export function readTrainer(folder: string, training: TrainedParameters, required: boolean): TrainerState | undefined {
  const places = [optimizerFile, optimizerFileOnce].map(file => join(folder, file));
  const place = places.find(existsSync);
  if (!place) {
    if (required) throw new UserError(`${places[0]}, ${optimizersState}, is missing`);
    return undefined;
  }
  const file = SafetensorsFile.open(place);
  try {
    fillParts(training, training.firstMoments, file.tensors, optimizersState, 'first.');
    fillParts(training, training.secondMoments, file.tensors, optimizersState, 'second.');
  } finally {
    file.close();
  }
  const path = join(folder, trainerFile);
  const state = trainerSchema.safeParse(readJson(path));
  if (state.success) return state.data;
  throw new UserError(`${path} is damaged: expected {"version": …} (${firstIssue(state.error)})`);
}
