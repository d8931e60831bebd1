import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { readJson } from '../../documents.ts';
import { writeFileWhole } from '../../files.ts';
import { onPath } from '../../systemErrors.ts';

/** What `sod devices` measured here, in numbers a second. */
const measuredSchema = z.object({
  /** Where its kernels are there. */
  cpu: z.object({ flops: z.number(), bytes: z.number() }).optional(),
  /** Of what is no program in a GPU's place. */
  gpu: z.object({ name: z.string(), flops: z.number(), bytes: z.number() }).optional(),
});
export type Measured = z.output<typeof measuredSchema>;

/** How much faster a GPU has to be in products and in reading memory to be chosen unasked. */
const clearly = 2;

/** What `engine.device: auto` means here: the CPU, unless a measurement says that the GPU is clearly faster, or that there is no other. */
export function fasterDevice(): 'cpu' | 'gpu' {
  const path = measuredFile();
  const { data } = existsSync(path) ? measuredSchema.safeParse(readJson(path)) : {};
  if (!data?.gpu) return 'cpu';
  const { cpu, gpu } = data;
  if (!cpu) return 'gpu';
  return gpu.flops >= clearly * cpu.flops && gpu.bytes >= clearly * cpu.bytes ? 'gpu' : 'cpu';
}

/** @returns where it is kept */
export function keepMeasured(measured: Measured): string {
  const path = measuredFile();
  onPath(path, () => mkdirSync(dirname(path), { recursive: true }));
  writeFileWhole(path, `${JSON.stringify(measured)}\n`);
  return path;
}

function measuredFile(): string {
  const { XDG_CACHE_HOME } = process.env;
  return join(resolve(XDG_CACHE_HOME || join(homedir(), '.cache')), 'sod', 'devices.json');
}
