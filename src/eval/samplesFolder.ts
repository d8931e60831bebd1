import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { UserError } from '../errors.ts';
import { removeUnfinished, writeFileWhole } from '../files.ts';

/** The journal in a folder of samples. */
export function samplesFile(folder: string): string {
  return join(folder, 'trajectories.jsonl');
}

/**
 * Makes the folder of samples that are made with these settings, or finds it again: samples that were made differently must
 * not be mixed. No other process may be at work there.
 * @throws UserError if it holds others.
 */
export function openSamplesFolder(folder: string, settings: Record<string, unknown>): void {
  mkdirSync(folder, { recursive: true });
  removeUnfinished(folder);
  const file = join(folder, 'settings.json');
  const samples = samplesFile(folder);
  if (!existsSync(samples) || statSync(samples).size === 0) {
    writeFileWhole(file, `${JSON.stringify(settings, null, 2)}\n`);
    return;
  }
  const before = readSettings(file);
  const remedy = 'choose another folder (--out), or delete this one';
  if (!before) throw new UserError(`${folder} holds samples, and ${file} does not say how they were made: ${remedy}`);
  const other = Object.keys({ ...before, ...settings }).find(key => !isDeepStrictEqual(before[key], settings[key]));
  if (!other) return;
  throw new UserError(`${folder} holds samples that were made with another ${other} (see ${file}): ${remedy}`);
}

/** Undefined where the file is not there, or damaged. */
function readSettings(file: string): Record<string, unknown> | undefined {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}

/**
 * SHA-256 of a checkpoint's files, those that say what it answers, or of the one that it is.
 * @param servedAs what a server calls the model, where it has the weights
 */
export async function checkpointDigest(checkpoint: string, servedAs?: string): Promise<string> {
  const hash = createHash('sha256');
  if (servedAs !== undefined) hash.update(`served as ${servedAs}\n`);
  const isFolder = statSync(checkpoint).isDirectory();
  for (const name of isFolder ? readdirSync(checkpoint).filter(saysWhatItAnswers).sort() : [basename(checkpoint)]) {
    hash.update(`${name}\n`);
    const file = isFolder ? join(checkpoint, name) : checkpoint;
    for await (const chunk of createReadStream(file)) hash.update(chunk);
  }
  return hash.digest('hex');
}

function saysWhatItAnswers(name: string): boolean {
  return /\.(json|safetensors|jinja|txt)$/.test(name) && !/^(README|LICEN[CS]E|NOTICE)\b/i.test(name);
}
