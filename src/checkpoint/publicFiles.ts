import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';

/** A file of a model's folder. */
export interface ModelFile {
  path: string;
  bytes: number;
}

export interface ModelFiles {
  /** What others need of the model, in the order of its names. */
  files: ModelFile[];
  leftOut: { path: string; reason: string }[];
}

const rules: { pattern: RegExp; reason: string }[] = [
  { pattern: /^\.|~$|\.(tmp|part|incomplete|lock)$/i, reason: 'temporary or hidden' },
  {
    pattern: /^optimizer\b|^trainer\.json$|^(optim|scheduler|rng_state|training_args)\S*\.(pt|pth|bin)$/i,
    reason: 'optimizer state',
  },
  { pattern: /^progress\.json$|^metrics\b|^recipe\.yaml$|\.evaluations\.json$/, reason: 'record of the training' },
  { pattern: /trajector|^rollouts\.jsonl$/i, reason: 'trajectories' },
];

/** Weights, configuration, tokenizer and card. All else stays here: a folder may hold what is nobody's business. */
const ofModel =
  /\.(safetensors|gguf|jinja)$|^(agent|base|config|adapter_config|generation_config|special_tokens_map|added_tokens|tokenizer|tokenizer_config|vocab|chat_template|model\.safetensors\.index)\.json$|^merges\.txt$|^tokenizer\.model$|^(README|LICEN[CS]E|NOTICE)(\.(md|txt))?$/;

/**
 * Which files of a model's folder are for others, and which are not.
 * @throws UserError if there is no model in it.
 */
export function modelFiles(folder: string): ModelFiles {
  const files: ModelFile[] = [];
  const leftOut: ModelFiles['leftOut'] = [];
  for (const path of readdirSync(folder).sort()) {
    const stats = statSync(join(folder, path), { throwIfNoEntry: false });
    const reason = stats?.isFile() ? reasonAgainst(path) : 'no file';
    if (reason) leftOut.push({ path, reason });
    else files.push({ path, bytes: stats!.size });
  }
  if (!files.some(({ path }) => /\.(safetensors|gguf)$/.test(path))) {
    throw new UserError(`${folder} holds no model: there is no safetensors or GGUF file to publish`);
  }
  return { files, leftOut };
}

function reasonAgainst(path: string): string | undefined {
  return rules.find(({ pattern }) => pattern.test(path))?.reason ?? (ofModel.test(path) ? undefined : 'no model file');
}
