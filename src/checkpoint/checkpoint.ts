import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../documents.ts';
import { UserError } from '../errors.ts';
import { currentFolder, replaceFolder, temporaryFolder, writeFileWhole } from '../files.ts';
import { isGguf } from '../gguf/header.ts';
import { readGgufTokenizer } from '../gguf/tokenizer.ts';
import { type ModelConfig, parseConfig, tensorShapes } from '../model/config.ts';
import type { Dtype } from '../model/dtype.ts';
import { elements, SafetensorsFile, type StoredTensor, writeSafetensors } from '../model/safetensors.ts';
import { onPath } from '../systemErrors.ts';
import { withTools } from '../text/hermesTemplate.ts';
import { adapterBase, isAdapter, tokenizerHome, wholeModel } from './adapter.ts';
import { refuseOtherBase } from './baseRecord.ts';
import { finite } from './finite.ts';
import { readGgufCheckpoint } from './ggufFile.ts';
import { mergeAdapter } from './mergeAdapter.ts';

/** A model folder in the Hugging Face layout. Its tensors can be read until it is closed. */
export interface Checkpoint {
  /** Where the files are; differs from the folder asked for only after a crash in the middle of a save. */
  dir: string;
  config: ModelConfig;
  /** Exactly the tensors of `tensorShapes(config)`, in that order. */
  tensors: StoredTensor[];
  close(): void;
}

const weightsFile = 'model.safetensors';
const indexFile = 'model.safetensors.index.json';

/** Small files that belong to a model and that training does not change. */
const companionFiles = [
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.json',
  'merges.txt',
  'chat_template.jinja',
  'special_tokens_map.json',
  'added_tokens.json',
  'generation_config.json',
  'agent.json',
];

/**
 * Opens a checkpoint; weights are in one file, or in shards named by an index, or all of it is one GGUF file; or it is an adapter,
 * as PEFT writes it, which is merged into the model that it names.
 * @throws UserError when the folder holds no model, a file is damaged, or the tensors are not those of `config.json`.
 */
export function readCheckpoint(path: string): Checkpoint {
  if (isGguf(path)) {
    const { tensors, ...rest } = readGgufCheckpoint(path);
    return { dir: path, tensors: tensors.map(tensor => finite(path, tensor)), ...rest };
  }
  const dir = currentFolder(path);
  const base = adapterBase(dir);
  if (base) return adapted(dir, base);
  const configPath = join(dir, 'config.json');
  if (!holdsModel(dir)) {
    const isFolder = statSync(dir, { throwIfNoEntry: false })?.isDirectory();
    if (isFolder) onPath(dir, () => accessSync(dir, constants.R_OK | constants.X_OK));
    throw new UserError(
      `${path} holds no model: expected config.json and ${weightsFile}; ` +
        'give the folder of a model as downloaded from the Hugging Face Hub, or of a checkpoint saved by sod',
    );
  }
  const config = parseConfig(readJson(configPath), configPath);
  const files: SafetensorsFile[] = [];
  const close = () => {
    for (const file of files) file.close();
  };
  try {
    for (const name of weightFiles(dir)) files.push(SafetensorsFile.open(join(dir, name)));
    return { dir, config, tensors: matchTensors(path, config, files).map(tensor => finite(path, tensor)), close };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * Writes a checkpoint folder as a whole: after a crash there is the old one or the new one, never a mixture.
 * Each tensor is stored in its own dtype. `from` is the checkpoint whose tokenizer and other small files are carried
 * along; it may be the folder that is replaced. `extra` writes further files into the folder it is given before that
 * folder takes its place.
 * @throws UserError when `path` exists, is not empty and holds no model: saving would delete what it holds.
 */
export async function writeCheckpoint(
  path: string,
  config: ModelConfig,
  tensors: readonly StoredTensor[],
  options: { from?: string; extra?: (folder: string) => Promise<void> | void } = {},
): Promise<void> {
  await writeFolder(path, options.from, async folder => {
    writeFileWhole(join(folder, 'config.json'), `${JSON.stringify(savedConfig(config, tensors), null, 2)}\n`);
    writeSafetensors(join(folder, weightsFile), tensors);
    await options.extra?.(folder);
  });
}

/** Writes a model's folder as `writeCheckpoint` does, whatever `write` puts into it. */
export async function writeFolder(
  path: string,
  from: string | undefined,
  write: (folder: string) => Promise<void>,
): Promise<void> {
  if (existsSync(path) && readdirSync(path).length > 0 && !holdsModel(path) && !isAdapter(path)) {
    throw new UserError(
      `${path} holds other files; a checkpoint replaces only a checkpoint: name a new or empty folder`,
    );
  }
  const temporary = temporaryFolder(path);
  rmSync(temporary, { recursive: true, force: true });
  onPath(dirname(path), () => mkdirSync(temporary, { recursive: true }));
  try {
    if (from !== undefined) writeCompanions(from, temporary);
    await write(temporary);
    replaceFolder(temporary, path);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** The shape of a checkpoint's model; of an adapter's, whose weights are not looked at. @throws UserError where there is none */
export function configOf(checkpoint: string): ModelConfig {
  const { config, close } = readCheckpoint(wholeModel(currentFolder(checkpoint)));
  close();
  return config;
}

/** The model that an adapter makes of another. */
function adapted(adapter: string, base: string): Checkpoint {
  refuseOtherBase(adapter, base);
  const checkpoint = readCheckpoint(base);
  try {
    return { ...checkpoint, dir: adapter, tensors: mergeAdapter(checkpoint.tensors, adapter) };
  } catch (error) {
    checkpoint.close();
    throw error;
  }
}

function holdsModel(dir: string): boolean {
  return existsSync(join(dir, 'config.json')) && [weightsFile, indexFile].some(file => existsSync(join(dir, file)));
}

function writeCompanions(from: string, to: string): void {
  const write = (name: string, content: string | Uint8Array) => writeFileWhole(join(to, name), content);
  if (isGguf(from)) {
    const { tokenizer, config } = readGgufTokenizer(from);
    const chat_template = config.chat_template && withTools(String(config.chat_template), tokenizer);
    write('tokenizer.json', `${JSON.stringify(tokenizer, null, 2)}\n`);
    write('tokenizer_config.json', `${JSON.stringify({ ...config, chat_template }, null, 2)}\n`);
    return;
  }
  const folder = tokenizerHome(currentFolder(from));
  for (const name of companionFiles) {
    if (existsSync(join(folder, name))) write(name, readFileSync(join(folder, name)));
  }
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

function weightFiles(dir: string): string[] {
  if (existsSync(join(dir, weightsFile))) return [weightsFile];
  const path = join(dir, indexFile);
  const index = indexSchema.safeParse(readJson(path));
  if (!index.success) throw new UserError(`${path} names no weight files: expected an object "weight_map"`);
  const names = [...new Set(Object.values(index.data.weight_map))];
  for (const name of names) {
    if (basename(name) !== name) throw new UserError(`${path} names "${name}"; weight files lie in the same folder`);
    if (!existsSync(join(dir, name)))
      throw new UserError(`${dir} is incomplete: ${name} is missing; download it again`);
  }
  return names;
}

/** The model's tensors in the config's order. A tied model may store its LM head once more: it is left out. */
function matchTensors(path: string, config: ModelConfig, files: SafetensorsFile[]): StoredTensor[] {
  const stored = new Map<string, StoredTensor>();
  for (const [name, tensor] of files.flatMap(file => [...file.tensors])) {
    if (stored.has(name)) throw new UserError(`${path}: tensor ${name} is in two of its files; download it again`);
    stored.set(name, tensor);
  }
  if (config.tied) stored.delete('lm_head.weight');
  const shapes = tensorShapes(config);
  const missing = [...shapes.keys()].filter(name => !stored.has(name));
  const extra = [...stored.keys()].filter(name => !shapes.has(name));
  const misshaped: string[] = [];
  const tensors: StoredTensor[] = [];
  for (const [name, shape] of shapes) {
    const tensor = stored.get(name);
    if (!tensor) continue;
    tensors.push(tensor);
    if (`${tensor.shape}` !== `${shape}`) misshaped.push(`${name} ([${tensor.shape}], not [${shape}])`);
  }
  const problems = [
    ...listed('missing', missing),
    ...listed('not part of the model', extra),
    ...listed('of another shape', misshaped),
  ];
  if (problems.length > 0) throw new UserError(`${path}: weights do not fit config.json: ${problems.join('; ')}`);
  return tensors;
}

function listed(problem: string, names: string[]): string[] {
  if (names.length === 0) return [];
  const shown = names.slice(0, 3).join(', ');
  return [`${problem}: ${shown}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`];
}

const torchNames: Record<Dtype, string> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/** The config as read, with the dtype that most of the numbers are stored in, under the key it used (newer: dtype). */
function savedConfig(config: ModelConfig, tensors: readonly StoredTensor[]): Record<string, unknown> {
  const counts: Record<Dtype, number> = { F32: 0, F16: 0, BF16: 0 };
  for (const { dtype, shape } of tensors) counts[dtype] += elements(shape);
  const most = (Object.keys(counts) as Dtype[]).reduce((a, b) => (counts[b] > counts[a] ? b : a));
  const present = ['torch_dtype', 'dtype'].filter(key => config.raw[key] !== undefined);
  const keys = present.length > 0 ? present : ['torch_dtype'];
  return { ...config.raw, ...Object.fromEntries(keys.map(key => [key, torchNames[most]])) };
}
