import { basename, dirname, resolve } from 'node:path';

/** A checkpoint's name for people: its folder's or file's, for a run's `final` the run's, and in the Hub's cache the repository's. */
export function modelName(checkpoint: string): string {
  const path = resolve(checkpoint);
  const [, cached] = /\/models--.+--([^/]+)\/snapshots\/[^/]+$/.exec(path) ?? [];
  if (cached) return cached;
  const name = basename(path, '.gguf');
  return name === 'final' ? basename(dirname(path)) : name;
}
