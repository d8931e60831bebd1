import { basename, dirname, resolve } from 'node:path';

/** A checkpoint's name for people: its folder's or file's, or for a run's `final` the run's. */
export function modelName(checkpoint: string): string {
  const path = resolve(checkpoint);
  const name = basename(path, '.gguf');
  return name === 'final' ? basename(dirname(path)) : name;
}
