import { randomUUID } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { UserError } from '../errors.ts';
import { writeFileWhole } from '../files.ts';
import { isCommit, type Source } from './source.ts';
import { formatTree, parseTree, type RepositoryFile } from './tree.ts';

/** The files of a repository at a commit. */
export interface Revision {
  commit: string;
  /** In the order of their paths. */
  files: RepositoryFile[];
  /** There may be more files than these. */
  isPartial?: boolean;
}

/**
 * What is on disk of a repository, as Hugging Face's own tools lay it out:
 *
 *     blobs/<hash>                  contents
 *     snapshots/<commit>/<path>     links to them
 *     refs/<revision>               the commit that a branch or tag was at
 *     trees/<commit>.json           which files there are
 */
export class RepositoryCache {
  readonly #root: string;

  constructor(cacheFolder: string, source: Source) {
    this.#root = join(cacheFolder, folderName(source));
  }

  /** Where the contents of a file lie. */
  blob({ hash }: RepositoryFile): string {
    return join(this.#root, 'blobs', hash);
  }

  snapshot(commit: string): string {
    return join(this.#root, 'snapshots', commit);
  }

  /** Where a file is found. @throws UserError if its path leads out of the snapshot. */
  local(commit: string, path: string): string {
    return join(this.snapshot(commit), safe(path));
  }

  has(commit: string, { path, bytes }: RepositoryFile): boolean {
    return fileSize(this.local(commit, path)) === bytes;
  }

  /** Makes the contents in `blobs` the file of a snapshot; where links are not possible, by a copy. */
  link(commit: string, file: RepositoryFile): void {
    const path = this.local(commit, file.path);
    mkdirSync(dirname(path), { recursive: true });
    const temporary = `${path}.${randomUUID()}.tmp`;
    try {
      symlinkSync(relative(dirname(path), this.blob(file)), temporary);
    } catch {
      copyFileSync(this.blob(file), temporary);
    }
    renameSync(temporary, path);
  }

  /** What is known of a revision without the Hub. */
  recall(revision: string): Revision | undefined {
    const commit = isCommit(revision) ? revision : this.#read('refs', safe(revision))?.trim();
    if (!commit || !isCommit(commit)) return undefined;
    const files = this.tree(commit);
    if (files) return { commit, files };
    return existsSync(this.snapshot(commit)) ? { commit, files: this.#present(commit), isPartial: true } : undefined;
  }

  /** The files of a commit, if they were listed once. */
  tree(commit: string): RepositoryFile[] | undefined {
    const text = this.#read('trees', `${commit}.json`);
    return text === undefined ? undefined : parseTree(text);
  }

  keepTree(commit: string, files: readonly RepositoryFile[]): void {
    this.#keep(join('trees', `${commit}.json`), formatTree(files));
  }

  keepRef(revision: string, commit: string): void {
    if (revision !== commit) this.#keep(join('refs', safe(revision)), commit);
  }

  #present(commit: string): RepositoryFile[] {
    const folder = this.snapshot(commit);
    const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
    return paths.flatMap(name => {
      const file = join(folder, name);
      const bytes = fileSize(file);
      if (bytes === undefined) return [];
      const hash = basename(realpathSync(file));
      return { path: name.replaceAll(sep, '/'), bytes, hash, gitHash: hash };
    });
  }

  #read(...path: string[]): string | undefined {
    try {
      return readFileSync(join(this.#root, ...path), 'utf8');
    } catch {
      return undefined;
    }
  }

  /** For later runs; a cache that cannot be written to still serves this one. */
  #keep(path: string, text: string): void {
    const file = join(this.#root, path);
    if (this.#read(path) === text) return;
    try {
      mkdirSync(dirname(file), { recursive: true });
      writeFileWhole(file, text);
    } catch {}
  }
}

/** As `getRepoFolderName` of @huggingface/hub, which takes a fifth of a second to load. */
function folderName({ type, name }: Source): string {
  return `${type}s--${name.replace('/', '--')}`;
}

/** The size of a file in bytes; undefined if there is none. */
export function fileSize(path: string): number | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats?.isFile() ? stats.size : undefined;
}

/** Names come from the Hub and from recipes: none may lead out of the folder it is meant for, on any system. */
function safe(path: string): string {
  const isUnsafe = (part: string) => ['', '.', '..'].includes(part) || /^[a-z]:|\\|\p{Cc}/iu.test(part);
  if (!path.split('/').some(isUnsafe)) return path;
  throw new UserError(`${JSON.stringify(path)} is no name for a file of the cache: it could lead out of its folder`);
}
