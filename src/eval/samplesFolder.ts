import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../errors.ts';
import { writeFileWhole } from '../files.ts';

/**
 * Makes the folder of samples that are made with these settings, or finds it again: samples that were made differently must
 * not be mixed.
 * @throws UserError if it holds others.
 */
export function openSamplesFolder(folder: string, settings: Record<string, unknown>): void {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'settings.json');
  if (!existsSync(file)) writeFileWhole(file, `${JSON.stringify(settings, null, 2)}\n`);
  const before = JSON.parse(readFileSync(file, 'utf8'));
  const other = Object.keys(settings).find(key => !isDeepStrictEqual(before[key], settings[key]));
  if (!other) return;
  throw new UserError(
    `${folder} holds samples that were made with another ${other} (see ${file}): choose another folder (--out), or delete this one`,
  );
}

/** SHA-256 of a checkpoint's files: those that say what it answers. */
export async function checkpointDigest(checkpoint: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of readdirSync(checkpoint).sort()) {
    if (!/\.(json|safetensors|jinja|txt)$/.test(name) || /^(README|LICEN[CS]E|NOTICE)\b/i.test(name)) continue;
    hash.update(`${name}\n`);
    for await (const chunk of createReadStream(join(checkpoint, name))) hash.update(chunk);
  }
  return hash.digest('hex');
}
