import { UserError } from '../errors.ts';
import { RepositoryCache, type Revision } from './cache.ts';
import { download } from './download.ts';
import { listRevision } from './listing.ts';
import { Unreachable } from './request.ts';
import { hubSettings } from './settings.ts';
import { type FetchControl, type Hub, pageOf, type Source } from './source.ts';
import type { RepositoryFile } from './tree.ts';

/** Which files of a repository of the Hugging Face Hub are wanted. */
export interface FilesRequest extends Omit<Source, 'revision'> {
  /** Branch, tag or commit. Default: main. */
  revision?: string;
  /** Chooses from the paths of all files, which are sorted. */
  select: (paths: string[]) => string[];
}

export interface FetchedFiles {
  commit: string;
  /** In the order of the paths in the repository; `local` is where a file is found. */
  files: { path: string; local: string }[];
  /** Where all of them lie as in the repository. */
  folder: string;
}

/**
 * Files of a repository of the Hugging Face Hub, from the cache that its own tools use or else downloaded into it,
 * checked by size and hash. If the Hub cannot be reached, the cache alone serves as far as it goes.
 * @throws UserError which says what to do; the signal's reason. What has arrived stays for the next time.
 */
export async function fetchFiles(request: FilesRequest, control: FetchControl = {}): Promise<FetchedFiles> {
  const { type, name, revision = 'main', select } = request;
  const hub: Hub = { ...hubSettings(), ...control, type, name, revision };
  const cache = new RepositoryCache(hub.cacheFolder, hub);
  const chosen = ({ files }: Revision) => {
    const paths = new Set(select(files.map(({ path }) => path)));
    return files.filter(({ path }) => paths.has(path));
  };
  const lacking = (found: Revision) => chosen(found).filter(file => !cache.has(found.commit, file));
  try {
    const found = await find(hub, cache, known => lacking(known).length === 0);
    const files = chosen(found);
    if (files.length === 0) throw nothingChosen(hub, found);
    const missing = lacking(found);
    if (missing.length && found.unavailable) throw notCached(hub, found.unavailable, missing);
    for (const file of missing) {
      await download(hub, cache, found.commit, file);
      cache.link(found.commit, file);
    }
    if (!found.unavailable) cache.keepRef(revision, found.commit);
    return {
      commit: found.commit,
      files: files.map(({ path }) => ({ path, local: cache.local(found.commit, path) })),
      folder: cache.snapshot(found.commit),
    };
  } catch (error) {
    control.signal?.throwIfAborted();
    throw isFileError(error) ? cacheProblem(hub, error) : error;
  }
}

/** Fewer than where there is nothing else: a machine without network should not wait at each start. */
const triesBeforeCache = 2;

interface Found extends Revision {
  /** Why the Hub cannot be asked, where that is so. */
  unavailable?: string;
}

/** The revision as the Hub has it, or else the cache. `suffices` tells whether what the cache knows is all that is wanted. */
async function find(hub: Hub, cache: RepositoryCache, suffices: (known: Revision) => boolean): Promise<Found> {
  const known = cache.recall(hub.revision);
  if (hub.offline) return fromCache(hub, 'HF_HUB_OFFLINE is set', known);
  try {
    return await listRevision(hub, cache, known && suffices(known) ? triesBeforeCache : undefined);
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    const found = fromCache(hub, error.message, known);
    hub.onNotice?.(`${error.message}: using what the cache has of ${pageOf(hub)}`);
    return found;
  }
}

function fromCache(hub: Hub, unavailable: string, known?: Revision): Found {
  if (!known) throw notCached(hub, unavailable);
  if (known.isPartial) {
    hub.onNotice?.(`the cache has no list of the files of ${pageOf(hub)}: taking those that are there for all`);
  }
  return { ...known, unavailable };
}

function nothingChosen(hub: Hub, { files }: Revision): UserError {
  const shown = files.slice(0, 12).map(({ path }) => path);
  const more = files.length > shown.length ? ` and ${files.length - shown.length} more` : '';
  return new UserError(
    `${pageOf(hub)} has none of the files that are wanted at revision ${hub.revision}; it has ${shown.join(', ') || 'none'}${more}`,
  );
}

function notCached(hub: Hub, unavailable: string, missing: RepositoryFile[] = []): UserError {
  const { type, name, revision, cacheFolder, endpoint } = hub;
  const paths = missing.map(({ path }) => path);
  const what = paths.length ? `${paths.slice(0, 3).join(', ')}${paths.length > 3 ? ', …' : ''} of ` : '';
  const words = ['hf', 'download', name, ...paths.slice(0, 3), '--repo-type', type, '--revision', revision].map(
    inShell,
  );
  const remedy = hub.offline ? 'unset it and run again' : `check the network and HF_ENDPOINT (${endpoint})`;
  return new UserError(
    `${what}${pageOf(hub)} at revision ${revision} is not in the cache ${cacheFolder}, and ${unavailable}: ` +
      `${remedy}, or fetch it where there is a network with ${words.join(' ')}`,
  );
}

function inShell(word: string): string {
  return /^[\w./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

function cacheProblem({ cacheFolder }: Hub, { code, message }: NodeJS.ErrnoException): UserError {
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  return new UserError(
    isFull
      ? `the disk of the cache ${cacheFolder} is full: make room and run again to go on, or set HF_HUB_CACHE to a folder elsewhere`
      : `the cache ${cacheFolder} cannot be used (${message}): set HF_HUB_CACHE to a folder that can be written to`,
  );
}
