import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { baseOnHub, isAdapter, readConfig } from '../checkpoint/adapter.ts';
import { configOf } from '../checkpoint/checkpoint.ts';
import { UserError } from '../errors.ts';
import { evaluationsOf, type KeptEvaluation } from '../eval/keptEvaluations.ts';
import { hubName } from '../hubName.ts';
import { parameterCount } from '../model/config.ts';
import { onPath } from '../systemErrors.ts';
import { toolOfModel } from '../tools/agentFile.ts';
import { type ToolProfile, toolPresets } from '../tools/profile.ts';
import { modelName, type Origin, originOf } from './origin.ts';

/** All that a model card says, none of it guessed: what is not known is absent. */
export interface CardFacts {
  title: string;
  /** `org/name` on the Hub. */
  name?: string;
  /** As the Hub writes it, such as apache-2.0. */
  license?: string;
  model: {
    family: string;
    parameters: number;
    layers: number;
    hiddenSize: number;
    vocabulary: number;
    maxPositions: number;
    dtype?: string;
  };
  origin: Origin;
  /** Of a folder that holds adapters and no whole model. */
  adapter?: AdapterFacts;
  /** The code tool that it has learned with; where nothing tells, as it is offered by default. */
  tool: ToolProfile;
  /** Of exactly these weights. */
  evaluations: KeptEvaluation[];
  /** Kept evaluations of other weights, which the folder held before. */
  evaluationsOfOthers: number;
  /** A GGUF file in the folder. */
  gguf?: string;
}

export interface AdapterFacts {
  /** The model that they are adapters of: its name on the Hub, or what its folder here is called. */
  base: string;
  isOnHub: boolean;
  rank?: number;
  alpha: number;
  targets: string[];
}

/**
 * Gathers what is known of the model in folder `checkpoint`, from it and from the runs that made it.
 * @throws UserError if it is no model's folder, or what lies beside it cannot be read.
 */
export async function cardFacts(
  checkpoint: string,
  { name, license }: Pick<CardFacts, 'name' | 'license'> = {},
): Promise<CardFacts> {
  refuseOtherFolders(checkpoint);
  const config = configOf(checkpoint);
  const dtype = config.raw.dtype ?? config.raw.torch_dtype;
  const { evaluations, ofOthers } = await evaluationsOf(checkpoint);
  return {
    title: name?.split('/')[1] ?? modelName(checkpoint),
    name,
    license,
    model: {
      family: config.family.title,
      parameters: parameterCount(config),
      layers: config.layers,
      hiddenSize: config.hiddenSize,
      vocabulary: config.vocabSize,
      maxPositions: config.maxPositions,
      dtype: typeof dtype === 'string' ? dtype : undefined,
    },
    origin: originOf(checkpoint),
    adapter: isAdapter(checkpoint) ? adapterFacts(checkpoint) : undefined,
    tool: toolOfModel(checkpoint) ?? toolPresets.python,
    evaluations,
    evaluationsOfOthers: ofOthers,
    gguf: readdirSync(checkpoint)
      .sort()
      .find(file => file.endsWith('.gguf')),
  };
}

function adapterFacts(folder: string): AdapterFacts {
  const { base_model_name_or_path: base, r, lora_alpha, target_modules } = readConfig(folder);
  const onHub = baseOnHub(folder)?.name;
  return {
    base: onHub ?? modelName(base!),
    isOnHub: onHub !== undefined,
    rank: r ?? undefined,
    alpha: lora_alpha,
    targets: [target_modules ?? []].flat(),
  };
}

function refuseOtherFolders(checkpoint: string): void {
  if (hubName(checkpoint)) {
    throw new UserError(`${checkpoint} is on the Hub: give the folder of a model on this machine`);
  }
  onPath(checkpoint, () => statSync(checkpoint));
  if (existsSync(join(checkpoint, 'recipe.yaml'))) {
    const final = join(checkpoint, 'final');
    const remedy = existsSync(final) ? `its model is ${final}` : 'it has no final model yet, see its checkpoints/';
    throw new UserError(`${checkpoint} is the folder of a run: ${remedy}`);
  }
}
