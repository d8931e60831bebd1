import { resolve } from 'node:path';
import { hubName } from '../hubName.ts';
import { isMethodModule, type MethodModule } from '../methods/module.ts';
import { isServerUrl } from '../serverUrl.ts';
import { isOpenEnv } from '../worlds/openenv/address.ts';
import type { Recipe } from './recipeSchema.ts';

/** A run must find its checkpoints again from any directory. */
export function atAbsolutePaths(recipe: Recipe): Recipe {
  const result = { ...recipe };
  if (result.model) result.model = atAbsolutePath(result.model);
  if (result.method !== 'sft' && result.teacher) result.teacher = atAbsolutePath(result.teacher);
  if (result.method !== 'sft' && result.teachers) {
    result.teachers = result.teachers.map(entry => ({
      ...entry,
      ...(entry.checkpoint && { checkpoint: atAbsolutePath(entry.checkpoint) }),
    }));
  }
  if (result.method !== 'sft' && result.rollout.server) {
    const { server } = result.rollout;
    result.rollout = { ...result.rollout, server: { ...server, weights: resolve(server.weights) } };
  }
  const located = <T extends { source: string }>(dataset: T) => ({
    ...dataset,
    source: atAbsolutePath(dataset.source),
  });
  if (result.dataset) result.dataset = located(result.dataset);
  if (result.datasets) result.datasets = result.datasets.map(located);
  if (isMethodModule(result.method)) result.method = resolve(result.method) as MethodModule;
  if (/[./]/.test(result.world) && !isOpenEnv(result.world)) result.world = resolve(result.world);
  if (result.evaluate?.benchmark) {
    const benchmark = result.evaluate.benchmark.replaceAll(/(?<==)[^,]+/g, atAbsolutePath);
    result.evaluate = { ...result.evaluate, benchmark };
  }
  return result;
}

function atAbsolutePath(reference: string): string {
  return hubName(reference) || isServerUrl(reference) ? reference : resolve(reference);
}
