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
