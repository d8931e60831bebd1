import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { readJson } from '../../documents.ts';
import { writeFileWhole } from '../../files.ts';
import { type ModelConfig, parameterCount } from '../../model/config.ts';
import { trainingFlops } from '../../model/flops.ts';
import { onPath } from '../../systemErrors.ts';
import type { Speed } from './measureDevice.ts';

const figure = z.number().positive();
const speed = z.object({ flops: figure, bytes: figure, kernelSeconds: figure, answerSeconds: figure });

/** What `sod devices` measured here. */
const measuredSchema = z.object({
  /** Where its kernels are there. */
  cpu: speed.optional(),
  /** Of what is no program in a GPU's place. */
  gpu: speed.extend({ name: z.string() }).optional(),
});
export type Measured = z.output<typeof measuredSchema>;

/** How much faster a GPU has to be to be chosen unasked, in an update and in decoding one sequence. */
const clearly = 2;

/**
 * What `engine.device: auto` means here for a model: the CPU, unless the measurement says that the GPU is clearly faster, or that there
 * is no other. Small models are done before a GPU has begun.
 */
export function fasterDevice(model?: ModelConfig): 'cpu' | 'gpu' {
  const path = measuredFile();
  const { data } = existsSync(path) ? measuredSchema.safeParse(readJson(path)) : {};
  if (!data?.gpu) return 'cpu';
  const { cpu, gpu } = data;
  if (!cpu) return 'gpu';
  if (!model) return 'cpu';
  const [onCpu, onGpu] = [taken(model, cpu), taken(model, gpu)];
  return onGpu.every((seconds, i) => clearly * seconds <= onCpu[i]) ? 'gpu' : 'cpu';
}

/** Of a weight in bf16. */
const weightBytes = 2;
/** About so many kernels has a layer, forwards, and backwards as well. */
const [forwardKernels, allKernels] = [10, 30];
const updateTokens = 2048;

/** Seconds of an update, and of one token of one sequence. */
function taken(model: ModelConfig, { flops, bytes, kernelSeconds, answerSeconds }: Speed): number[] {
  const { layers } = model;
  return [
    trainingFlops(model, 1, updateTokens, updateTokens) / flops + layers * allKernels * kernelSeconds + answerSeconds,
    (weightBytes * parameterCount(model)) / bytes + layers * forwardKernels * kernelSeconds + answerSeconds,
  ];
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
