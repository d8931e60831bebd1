import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { readJson } from '../documents.ts';
import { UserError } from '../errors.ts';
import { SafetensorsFile, type StoredTensor } from '../model/safetensors.ts';
import { firstIssue } from '../schema.ts';

/** A LoRA adapter as PEFT writes it. */
export const adapterFiles = { config: 'adapter_config.json', weights: 'adapter_model.safetensors' };

const adapterConfig = z.looseObject({
  r: z.int().positive(),
  lora_alpha: z.number(),
  use_rslora: z.boolean().default(false),
  base_model_name_or_path: z.string().nullish(),
});

/**
 * The model that an adapter's folder is an adapter of; undefined for other folders.
 * @throws UserError where it is not on this machine
 */
export function adapterBase(folder: string): string | undefined {
  if (existsSync(join(folder, 'config.json')) || !existsSync(join(folder, adapterFiles.config))) return undefined;
  const { base_model_name_or_path: base } = readConfig(folder);
  if (!base) throw new UserError(`${join(folder, adapterFiles.config)} does not say base_model_name_or_path`);
  const places = [resolve(folder, base), resolve(base)];
  const found = places.find(place => existsSync(place));
  if (found) return found;
  throw new UserError(
    `${folder} is an adapter of ${base}, which is not on this machine: ` +
      `put that model's folder at ${places[1]}, or its path into ${adapterFiles.config}`,
  );
}

/** The folder that has a checkpoint's tokenizer: its own, or that of the model which it is an adapter of. */
export function tokenizerHome(folder: string): string {
  if (existsSync(join(folder, 'tokenizer.json'))) return folder;
  return adapterBase(folder) ?? folder;
}

function readConfig(folder: string): z.output<typeof adapterConfig> {
  const path = join(folder, adapterFiles.config);
  const config = adapterConfig.safeParse(readJson(path));
  if (config.success) return config.data;
  throw new UserError(`${path} is damaged: ${firstIssue(config.error)}`);
}

/**
 * A model's tensors with an adapter merged into them: W + scale · B A (Hu et al. 2021), scale = alpha / r.
 * @param folder of the adapter
 * @throws UserError where the adapter is damaged, or changes what this model has not
 */
export function mergeAdapter(tensors: readonly StoredTensor[], folder: string): StoredTensor[] {
  const { r, lora_alpha: alpha, use_rslora } = readConfig(folder);
  const scale = alpha / (use_rslora ? Math.sqrt(r) : r);

  const factors = readFactors(join(folder, adapterFiles.weights));
  const merged = tensors.map(tensor => {
    const name = tensor.name.replace(/\.weight$/, '');
    const [a, b] = ['lora_A', 'lora_B'].map(factor => take(factors, `${name}.${factor}.weight`));
    return a && b ? { ...tensor, read: () => product(tensor, a, b, scale) } : tensor;
  });
  const [other] = factors.keys();
  if (other === undefined) return merged;
  throw new UserError(`${folder}: the adapter has ${other}, and the model nothing that it changes`);
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
