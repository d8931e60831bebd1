import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { create } from 'tar';
import { z } from 'zod';
import { readJson } from '../../documents.ts';
import { temporaryFolder, writeFileWhole } from '../../files.ts';
import { linearNames } from '../../model/config.ts';
import { ApiError } from '../apiError.ts';

/** `weights` hold what is needed to train on, `sampler_weights` a model as others read it. */
export type CheckpointKind = 'weights' | 'sampler_weights';

export interface SavedCheckpoint {
  /** As clients name it: `tinker://<model>/<kind>/<name>`. */
  path: string;
  folder: string;
  kind: CheckpointKind;
  name: string;
}

/** Beside a checkpoint's own files: what it was trained from. */
const originFile = 'tinker.json';
const origin = z.object({
  base_model: z.string(),
  /** Of adapters that were trained over it. */
  lora: z
    .object({ rank: z.number(), alpha: z.number(), targets: z.array(z.enum(linearNames)).readonly(), seed: z.number() })
    .optional(),
});
type Origin = z.output<typeof origin>;

/** What models were saved to: folders below one, which outlive the server. */
export class Checkpoints {
  readonly #root: string;

  constructor(root: string) {
    this.#root = resolve(root);
  }

  /** Where a checkpoint of a model is or will be. */
  of(model: string, kind: CheckpointKind, name: string): SavedCheckpoint {
    return { path: `tinker://${model}/${kind}/${name}`, folder: join(this.#root, model, kind, name), kind, name };
  }

  /** @throws ApiError 404 where nothing was saved under that path */
  find(path: string): SavedCheckpoint {
    const parts = /^tinker:\/\/([\w:-]+)\/(?:(weights|sampler_weights)\/)?([\w-]+)$/.exec(path);
    const found = parts && this.of(parts[1], (parts[2] ?? 'sampler_weights') as CheckpointKind, parts[3]);
    if (found && existsSync(found.folder)) return found;
    throw new ApiError(404, `There is no checkpoint ${JSON.stringify(path.slice(0, 200))}.`);
  }

  /** Writes a checkpoint by `save`. @throws ApiError 409 where there is one, unless it is to be replaced */
  async write(
    checkpoint: SavedCheckpoint,
    origin: Origin,
    overwrite: boolean,
    save: (folder: string) => Promise<void>,
  ) {
    const { folder, path } = checkpoint;
    if (existsSync(folder) && !overwrite) {
      throw new ApiError(409, `${path} is there already; choose another name, or set overwrite.`);
    }
    mkdirSync(join(folder, '..'), { recursive: true });
    await save(folder);
    writeFileWhole(join(folder, originFile), `${JSON.stringify(origin)}\n`);
  }

  /** What a checkpoint was trained from, as clients name it, and by which adapters. */
  originOf({ folder }: SavedCheckpoint): Origin {
    return origin.parse(readJson(join(folder, originFile)));
  }

  list(model: string): (SavedCheckpoint & { savedAt: Date })[] {
    if (!/^[\w:-]+$/.test(model)) return [];
    return (['weights', 'sampler_weights'] as const).flatMap(kind => {
      const folder = join(this.#root, model, kind);
      const names = existsSync(folder) ? readdirSync(folder).filter(name => /^[\w-]+$/.test(name)) : [];
      return names.map(name => {
        const checkpoint = this.of(model, kind, name);
        return { ...checkpoint, savedAt: statSync(checkpoint.folder).mtime };
      });
    });
  }

  /** A server that is killed meanwhile leaves nothing that looks like a checkpoint. */
  delete({ folder }: SavedCheckpoint): void {
    const gone = temporaryFolder(folder);
    renameSync(folder, gone);
    rmSync(gone, { recursive: true });
  }

  /** A tar.gz of a checkpoint's files. */
  archive({ folder }: SavedCheckpoint): ReadableStream {
    const names = readdirSync(folder).filter(name => name !== originFile);
    // Weights hardly become smaller, but take long to be made so.
    const packed = create({ gzip: { level: 1 }, cwd: folder, portable: true }, names);
    return Readable.toWeb(Readable.from(packed)) as ReadableStream;
  }
}
