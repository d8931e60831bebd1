import { join, resolve } from 'node:path';
import { writeFileWhole } from '../files.ts';
import { nameInCache } from '../hub/cachedModel.ts';
import type { LoraShape } from '../model/lora.ts';
import { type StoredTensor, writeSafetensors } from '../model/safetensors.ts';
import { adapterFiles, peftPrefix } from './adapter.ts';
import { writeBaseRecord } from './baseRecord.ts';
import { writeFolder } from './checkpoint.ts';

export interface WrittenAdapter {
  lora: LoraShape;
  /** The factors, by the names of their modules in the model: `model.layers.0.self_attn.q_proj.lora_A.weight`. */
  tensors: readonly StoredTensor[];
  /** The model that it is an adapter of, and the digest of its weights. */
  base: string;
  baseDigest: string;
}

/**
 * Writes an adapter as PEFT does, with the base's tokenizer and other small files, as a whole: like `writeCheckpoint`.
 * @throws UserError when `path` exists, is not empty and holds no model.
 */
export async function writeAdapter(
  path: string,
  { lora, tensors, base, baseDigest }: WrittenAdapter,
  extra?: (folder: string) => Promise<void> | void,
): Promise<void> {
  await writeFolder(path, base, async folder => {
    writeFileWhole(join(folder, adapterFiles.config), `${JSON.stringify(peftConfig(lora, base), null, 2)}\n`);
    writeSafetensors(
      join(folder, adapterFiles.weights),
      tensors.map(tensor => ({ ...tensor, name: peftPrefix + tensor.name })),
    );
    writeBaseRecord(folder, baseDigest);
    await extra?.(folder);
  });
}

function peftConfig({ rank, alpha, targets }: LoraShape, base: string): Record<string, unknown> {
  const onHub = nameInCache(base);
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: onHub?.name ?? resolve(base),
    revision: onHub?.revision ?? null,
    r: rank,
    lora_alpha: alpha,
    target_modules: targets,
    lora_dropout: 0,
    bias: 'none',
    fan_in_fan_out: false,
    modules_to_save: null,
    use_rslora: false,
    use_dora: false,
    inference_mode: true,
  };
}
