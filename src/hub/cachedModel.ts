import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { RepositoryCache } from './cache.ts';
import { hubSettings } from './settings.ts';

/** The folder in the cache of a model of the Hub, which may lack some of its files; undefined where it was never fetched. */
export function cachedModel(name: string, revision: string): string | undefined {
  const cache = new RepositoryCache(hubSettings().cacheFolder, { type: 'model', name, revision });
  const known = cache.recall(revision);
  const folder = known && cache.snapshot(known.commit);
  return folder && existsSync(folder) ? folder : undefined;
}

/** The name on the Hub, and the commit, of a model's folder in the cache; undefined for other folders. */
export function nameInCache(folder: string): { name: string; revision: string } | undefined {
  const [, owner, name, revision] =
    /[\\/]models--([^\\/]+?)--([^\\/]+)[\\/]snapshots[\\/]([0-9a-f]{40})$/.exec(resolve(folder)) ?? [];
  return owner ? { name: `${owner}/${name}`, revision } : undefined;
}
