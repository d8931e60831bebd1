import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../../documents.ts';
import { UserError } from '../../errors.ts';
import { writeFileWhole } from '../../files.ts';
import { firstIssue } from '../../schema.ts';

/** What a run keeps of a checkpoint that a server has: where to find it, and how far it has come. */
const savedPlace = z.object({
  url: z.string(),
  path: z.string().startsWith('tinker://'),
  /** Updates made. */
  version: z.int().nonnegative(),
});
export type SavedPlace = z.output<typeof savedPlace>;

const file = 'tinker.json';

/** Where a server is asked about a checkpoint, given its path: `tinker://<model>/<kind>/<name>`. */
export function checkpointRoute(path: string): string {
  const [, model, id] = /^tinker:\/\/([^/]+)\/(.+)$/.exec(path) ?? [];
  if (!model) throw new UserError(`the server named its checkpoint ${path}, where tinker://…/… is expected`);
  return `training_runs/${encodeURIComponent(model)}/checkpoints/${id}`;
}

/** Where it is deleted: there the kind must be said, which SkyRL leaves out of the paths of what is sampled from. */
export function deletionRoute(path: string): string {
  return checkpointRoute(path.replace(/^(tinker:\/\/[^/]+)\/([^/]+)$/, '$1/sampler_weights/$2'));
}

export function writePlace(folder: string, place: SavedPlace): void {
  mkdirSync(folder, { recursive: true });
  writeFileWhole(join(folder, file), `${JSON.stringify(place)}\n`);
}

/** @throws UserError where the folder holds no such file, or another */
export function readPlace(folder: string): SavedPlace {
  const path = join(folder, file);
  const place = savedPlace.safeParse(readJson(path));
  if (place.success) return place.data;
  throw new UserError(`${path} is damaged: ${firstIssue(place.error)}`);
}

/** The same, where the folder says it. */
export function placeIn(folder: string): SavedPlace | undefined {
  try {
    return readPlace(folder);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
