import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../documents.ts';
import { UserError } from '../errors.ts';
import { currentFolder, writeFileWhole } from '../files.ts';
import { isGguf } from '../gguf/header.ts';
import { firstIssue } from '../schema.ts';
import { onPath } from '../systemErrors.ts';

/** Beside an adapter that was trained here: over which weights. PEFT knows nothing of it. */
const recordFile = 'base.json';

const recordSchema = z.object({
  /** `weightsDigest` of the model. */
  sha256: z.string(),
});

/** What of a model's folder decides on its weights: they themselves, its shape and, of an adapter, what it is one of. */
const ofWeights = /^((adapter_)?config\.json|[^/]+\.safetensors(\.index\.json)?|base\.json)$/;

/** SHA-256 of the weights of a checkpoint, a folder or a file: of its files, as they are. */
export function weightsDigest(checkpoint: string): string {
  const hash = createHash('sha256');
  if (isGguf(checkpoint)) {
    addFile(hash, checkpoint);
    return hash.digest('hex');
  }
  const folder = currentFolder(checkpoint);
  for (const name of readdirSync(folder).sort()) {
    if (!ofWeights.test(name)) continue;
    hash.update(`${name}\n`);
    addFile(hash, join(folder, name));
  }
  return hash.digest('hex');
}

export function writeBaseRecord(adapter: string, sha256: string): void {
  writeFileWhole(join(adapter, recordFile), `${JSON.stringify({ sha256 })}\n`);
}

/** The digest of the weights that an adapter was trained over; undefined where its folder does not say. */
function recordedBase(adapter: string): string | undefined {
  const file = join(adapter, recordFile);
  if (!existsSync(file)) return undefined;
  const record = recordSchema.safeParse(readJson(file));
  if (record.success) return record.data.sha256;
  throw new UserError(`${file} is damaged: ${firstIssue(record.error)}`);
}

/** @throws UserError where the weights that an adapter was trained over are not those of `base` any more */
export function refuseOtherBase(adapter: string, base: string, digest = () => weightsDigest(base)): void {
  const recorded = recordedBase(adapter);
  if (recorded === undefined || recorded === digest()) return;
  throw new UserError(
    `${adapter} was trained over other weights than ${base} has now: bring the old ones back; ` +
      `what the adapter makes of others is not known (to try it, delete ${join(adapter, recordFile)})`,
  );
}

function addFile(hash: ReturnType<typeof createHash>, path: string): void {
  const chunk = Buffer.alloc(4 << 20);
  onPath(path, () => {
    const fd = openSync(path, 'r');
    try {
      for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk)) hash.update(chunk.subarray(0, read));
    } finally {
      closeSync(fd);
    }
  });
}
