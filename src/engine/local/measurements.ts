import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { readJson } from '../../documents.ts';
import { writeFileWhole } from '../../files.ts';
import { onPath } from '../../systemErrors.ts';
import { defaultTiles, type Tiles, tileCandidates } from '../../tensor/gpu/tiles.ts';

const figure = z.number().positive();
const speed = z.object({ flops: figure, bytes: figure, kernelSeconds: figure, answerSeconds: figure });
const tile = z.object({ rows: figure, columns: figure, threads: z.tuple([figure, figure]) });

/** What `sod devices` measured here. */
const measuredSchema = z.object({
  /** Where its kernels are there. */
  cpu: speed.optional(),
  /** Of what is no program in a GPU's place. */
  gpu: speed.extend({ name: z.string() }).optional(),
  /** The fastest of each GPU, by its name. */
  tiles: z.record(z.string(), z.object({ few: tile, some: tile, many: tile })).default({}),
});
export type Measured = z.output<typeof measuredSchema>;

/** What was kept last, if anything was. */
export function readMeasured(): Measured | undefined {
  const path = measuredFile();
  return existsSync(path) ? measuredSchema.safeParse(readJson(path)).data : undefined;
}

/** In the place of what was; tiles of other GPUs stay. */
export function keepMeasured(measured: z.input<typeof measuredSchema>): void {
  const path = measuredFile();
  const tiles = { ...readMeasured()?.tiles, ...measured.tiles };
  onPath(path, () => mkdirSync(dirname(path), { recursive: true }));
  writeFileWhole(path, `${JSON.stringify({ ...measured, tiles })}\n`);
}

/** The fastest tiles for products on the GPU of that name, or those for unknown ones. */
export function keptTiles(gpu: string): Tiles {
  const kept = readMeasured()?.tiles[gpu] ?? defaultTiles;
  const known = (rows: keyof Tiles) =>
    tileCandidates[rows].find(tile => isDeepStrictEqual(tile, kept[rows])) ?? defaultTiles[rows];
  return { few: known('few'), some: known('some'), many: known('many') };
}

function measuredFile(): string {
  const { XDG_CACHE_HOME } = process.env;
  return join(resolve(XDG_CACHE_HOME || join(homedir(), '.cache')), 'sod', 'devices.json');
}
