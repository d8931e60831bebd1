import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { readJson } from '../documents.ts';
import { UserError } from '../errors.ts';
import { cachedModel } from '../hub/cachedModel.ts';
import { hubName } from '../hubName.ts';
import { SafetensorsFile, type StoredTensor } from '../model/safetensors.ts';
import { firstIssue } from '../schema.ts';

/** A LoRA adapter as PEFT writes it. */
export const adapterFiles = { config: 'adapter_config.json', weights: 'adapter_model.safetensors' };

const adapterConfig = z.looseObject({
  lora_alpha: z.number(),
  /** By patterns of modules' names: what they have in its place. */
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
  use_rslora: z.boolean().default(false),
  base_model_name_or_path: z.string().nullish(),
  revision: z.string().nullish(),
});
type AdapterConfig = z.output<typeof adapterConfig>;

/** What an adapter can have beside the two factors of its matrices, which are not computed here, and its value where it has none. */
const unsupported: Record<string, unknown> = {
  peft_type: 'LORA',
  use_dora: false,
  bias: 'none',
  lora_bias: false,
  modules_to_save: null,
  fan_in_fan_out: false,
};

/**
 * The model that an adapter's folder is an adapter of; undefined for other folders.
 * @throws UserError where it is not on this machine
 */
export function adapterBase(folder: string): string | undefined {
  if (!isAdapter(folder)) return undefined;
  const { base_model_name_or_path: base } = readConfig(folder);
  if (!base) throw new UserError(`${join(folder, adapterFiles.config)} does not say base_model_name_or_path`);
  const onHub = baseOnHub(folder);
  const found = onHub ? cachedModel(onHub.name, onHub.revision) : baseHere(folder, base);
  if (found) return found;
  throw new UserError(
    `${folder} is an adapter of ${base}, which is not on this machine: ` +
      `put that model's folder at ${resolve(base)}, or its path into ${adapterFiles.config}`,
  );
}

/** The model on the Hub that an adapter's folder is an adapter of; undefined where it names none, or a folder that is here. */
export function baseOnHub(folder: string): { name: string; revision: string } | undefined {
  if (!isAdapter(folder)) return undefined;
  const { base_model_name_or_path: base, revision } = readConfig(folder);
  const name = base && !baseHere(folder, base) ? hubName(`hf:${base}`) : undefined;
  return name ? { name, revision: revision ?? 'main' } : undefined;
}

function isAdapter(folder: string): boolean {
  return !existsSync(join(folder, 'config.json')) && existsSync(join(folder, adapterFiles.config));
}

function baseHere(folder: string, base: string): string | undefined {
  return [resolve(folder, base), resolve(base)].find(place => existsSync(place));
}

/** The folder that has a checkpoint's tokenizer: its own, or that of the model which it is an adapter of. */
export function tokenizerHome(folder: string): string {
  if (existsSync(join(folder, 'tokenizer.json'))) return folder;
  return adapterBase(folder) ?? folder;
}

function readConfig(folder: string): AdapterConfig {
  const path = join(folder, adapterFiles.config);
  const config = adapterConfig.safeParse(readJson(path));
  if (config.success) return config.data;
  throw new UserError(`${path} is damaged: ${firstIssue(config.error)}`);
}

/**
 * A model's tensors with an adapter merged into them: W + scale · B A (Hu et al. 2021), scale = alpha / r, or alpha / √r with
 * `use_rslora`; r is what the matrices have, alpha each module's own where `alpha_pattern` says so.
 * @param folder of the adapter
 * @throws UserError where the adapter is damaged, changes what this model has not, or is more than two factors a matrix
 */
export function mergeAdapter(tensors: readonly StoredTensor[], folder: string): StoredTensor[] {
  const config = readConfig(folder);
  refuseUnsupported(folder, config);
  const alphaOf = alphas(folder, config);
  const factors = readFactors(join(folder, adapterFiles.weights));
  const merged = tensors.map(tensor => {
    const name = tensor.name.replace(/\.weight$/, '');
    const [a, b] = ['lora_A', 'lora_B'].map(factor => take(factors, `${name}.${factor}.weight`));
    if (!a || !b) return tensor;
    const [rank] = a.shape;
    const scale = alphaOf(name) / (config.use_rslora ? Math.sqrt(rank) : rank);
    return { ...tensor, read: () => product(tensor, a, b, scale) };
  });
  const [other] = factors.keys();
  if (other === undefined) return merged;
  throw new UserError(`${folder}: the adapter has ${other}, and the model nothing that it changes`);
}

function refuseUnsupported(folder: string, config: AdapterConfig): void {
  for (const [key, none] of Object.entries(unsupported)) {
    const value = config[key] ?? none;
    const isNone = value === none || (Array.isArray(value) && value.length === 0);
    if (isNone) continue;
    throw new UserError(
      `${join(folder, adapterFiles.config)}: ${key} is ${JSON.stringify(value)}; supported: ${JSON.stringify(none)}. ` +
        'Merge it with PEFT (merge_and_unload) and take the whole model',
    );
  }
}

/** Alpha by a module's name: PEFT's patterns are of its end, and the first that fits counts. */
function alphas(folder: string, { lora_alpha, alpha_pattern }: AdapterConfig): (name: string) => number {
  const patterns = Object.entries(alpha_pattern ?? {}).map(([pattern, alpha]): [RegExp, number] => {
    try {
      return [new RegExp(`^(.*\\.)?(${pattern})$`), alpha];
    } catch {
      throw new UserError(
        `${join(folder, adapterFiles.config)}: alpha_pattern has ${JSON.stringify(pattern)}, which is no pattern`,
      );
    }
  });
  return name => patterns.find(([pattern]) => pattern.test(name))?.[1] ?? lora_alpha;
}

/** All of them in memory, by the names that their modules have in the model. */
function readFactors(path: string): Map<string, StoredTensor> {
  const file = SafetensorsFile.open(path);
  try {
    return new Map(
      [...file.tensors].map(([name, tensor]) => {
        const values = tensor.read();
        return [name.replace(/^base_model\.model\./, ''), { ...tensor, read: () => values }];
      }),
    );
  } finally {
    file.close();
  }
}

function take(factors: Map<string, StoredTensor>, name: string): StoredTensor | undefined {
  const tensor = factors.get(name);
  factors.delete(name);
  return tensor;
}

/** `weight` [out, in] + scale · `b` [out, r] · `a` [r, in] */
function product(weight: StoredTensor, a: StoredTensor, b: StoredTensor, scale: number): Float32Array<ArrayBuffer> {
  const [out, width] = weight.shape;
  const [rank] = a.shape;
  if (`${a.shape}` !== `${[rank, width]}` || `${b.shape}` !== `${[out, rank]}`) {
    throw new UserError(`the adapter of ${weight.name} [${weight.shape}] has the shapes [${a.shape}] and [${b.shape}]`);
  }
  const [values, left, right] = [weight.read().slice(), b.read(), a.read()];
  for (let row = 0; row < out; row++) {
    for (let k = 0; k < rank; k++) {
      const factor = scale * left[row * rank + k];
      for (let column = 0; column < width; column++) values[row * width + column] += factor * right[k * width + column];
    }
  }
  return values;
}
