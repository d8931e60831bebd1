import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { readJson } from '../documents.ts';
import { UserError } from '../errors.ts';
import { cachedModel } from '../hub/cachedModel.ts';
import { hubName } from '../hubName.ts';
import type { StoredFactors } from '../model/lora.ts';
import { SafetensorsFile, type StoredTensor } from '../model/safetensors.ts';
import { firstIssue } from '../schema.ts';
import { finite } from './finite.ts';

/** A LoRA adapter as PEFT writes it. */
export const adapterFiles = { config: 'adapter_config.json', weights: 'adapter_model.safetensors' };

/** What PEFT puts before the names of a model's modules. */
export const peftPrefix = 'base_model.model.';

const adapterConfig = z.looseObject({
  r: z.int().positive().nullish(),
  lora_alpha: z.number(),
  target_modules: z.union([z.string(), z.array(z.string())]).nullish(),
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

/** Whether a folder holds an adapter, and no whole model. */
export function isAdapter(folder: string): boolean {
  return !existsSync(join(folder, 'config.json')) && existsSync(join(folder, adapterFiles.config));
}

function baseHere(folder: string, base: string): string | undefined {
  return [resolve(folder, base), resolve(base)].find(place => existsSync(place));
}

/** The folder that has a checkpoint's tokenizer: its own, or that of the model which it is an adapter of. */
export function tokenizerHome(folder: string): string {
  if (existsSync(join(folder, 'tokenizer.json'))) return folder;
  const base = adapterBase(folder);
  return base ? tokenizerHome(base) : folder;
}

/** The whole model, a folder or a GGUF file, that a checkpoint is or is an adapter of. */
export function wholeModel(folder: string): string {
  const base = adapterBase(folder);
  return base ? wholeModel(base) : folder;
}

/** What an adapter's folder says of it. @throws UserError if it is damaged */
export function readConfig(folder: string): AdapterConfig {
  const path = join(folder, adapterFiles.config);
  const config = adapterConfig.safeParse(readJson(path));
  if (config.success) return config.data;
  throw new UserError(`${path} is damaged: ${firstIssue(config.error)}`);
}

/**
 * The factors of an adapter, all in memory, by the modules that have them: scale = alpha / r, or alpha / √r with `use_rslora`; r is
 * what the matrices have, alpha each module's own where `alpha_pattern` says so.
 * @param folder of the adapter
 * @param shapes of the model's tensors
 * @throws UserError as `mergeAdapter`
 */
export function readFactors(folder: string, shapes: ReadonlyMap<string, number[]>): Map<string, StoredFactors> {
  const config = readConfig(folder);
  refuseUnsupported(folder, config);
  const alphaOf = alphas(folder, config);
  const stored = readTensors(join(folder, adapterFiles.weights));
  const factors = new Map<string, StoredFactors>();
  for (const [name, shape] of shapes) {
    const module = moduleOf(name);
    const [a, b] = ['lora_A', 'lora_B'].map(factor => take(stored, `${module}.${factor}.weight`));
    if (!a || !b) continue;
    const [out, width] = shape;
    const [rank] = a.shape;
    if (`${a.shape}` !== `${[rank, width]}` || `${b.shape}` !== `${[out, rank]}`) {
      throw new UserError(`${folder}: the adapter of ${name} [${shape}] has the shapes [${a.shape}] and [${b.shape}]`);
    }
    factors.set(module, { a, b, scale: alphaOf(module) / (config.use_rslora ? Math.sqrt(rank) : rank) });
  }
  const [other] = stored.keys();
  if (other === undefined) return factors;
  throw new UserError(`${folder}: the adapter has ${other}, and the model nothing that it changes`);
}

export function moduleOf(name: string): string {
  return name.replace(/\.weight$/, '');
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
function readTensors(path: string): Map<string, StoredTensor> {
  const file = SafetensorsFile.open(path);
  try {
    return new Map(
      [...file.tensors].map(([name, tensor]) => {
        const values = finite(path, tensor).read();
        return [name.startsWith(peftPrefix) ? name.slice(peftPrefix.length) : name, { ...tensor, read: () => values }];
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
