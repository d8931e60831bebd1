import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { sizeText } from './bytes.ts';
import { UserError } from './errors.ts';
import { explained, onPath } from './systemErrors.ts';

/**
 * Writes a file so that a reader, or the next start after a crash, finds the old content or the new, never a part.
 * `data` is the content, or a function that writes it to an open file descriptor.
 * @throws UserError that names the path where the system refuses it; nothing is left then.
 */
export function writeFileWhole(path: string, data: string | Uint8Array | ((fd: number) => void)): void {
  const file = new UnfinishedFile(path);
  try {
    if (typeof data === 'function') data(file.fd);
    else writeFileSync(file.fd, data);
    file.finish();
  } catch (error) {
    file.discard();
    throw explained(error, path);
  }
}

/**
 * The same for content that takes long to write: what arrives in between, a Ctrl-C say, is seen to between two parts.
 * @throws the reason of `signal`; nothing is left then.
 */
export async function writeFileInParts(
  path: string,
  parts: Iterable<(fd: number) => void>,
  signal?: AbortSignal,
): Promise<void> {
  const file = new UnfinishedFile(path);
  try {
    for (const write of parts) {
      await setImmediate();
      signal?.throwIfAborted();
      write(file.fd);
    }
    file.finish();
  } catch (error) {
    file.discard();
    throw explained(error, path);
  }
}

/**
 * Writes a file that is not there yet, so that nobody ever finds a part of it.
 * @returns false if there is one already, which stays as it is
 * @throws UserError that names the path where the system refuses it; nothing is left then.
 */
export function createFileWhole(path: string, data: string): boolean {
  const file = new UnfinishedFile(path);
  try {
    writeFileSync(file.fd, data);
    return file.finishAsFirst();
  } catch (error) {
    throw explained(error, path);
  } finally {
    file.discard();
  }
}

/** A file under another name, until it is complete. */
class UnfinishedFile {
  readonly fd: number;
  readonly #path: string;
  readonly #temporary: string;
  #open = true;

  constructor(path: string) {
    this.#path = path;
    this.#temporary = `${path}.${randomUUID()}.tmp`;
    this.fd = onPath(path, () => openSync(this.#temporary, 'wx'));
  }

  finish(): void {
    fsyncSync(this.fd);
    this.#close();
    renameSync(this.#temporary, this.#path);
    syncToDisk(dirname(this.#path));
  }

  /** False where somebody else was first. */
  finishAsFirst(): boolean {
    fsyncSync(this.fd);
    this.#close();
    try {
      createName(this.#temporary, this.#path);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  }

  discard(): void {
    this.#close();
    rmSync(this.#temporary, { force: true });
  }

  #close(): void {
    if (this.#open) closeSync(this.fd);
    this.#open = false;
  }
}

/** Gives a file a second name that nothing has yet; where the file system knows no second names, a copy has to do. */
function createName(file: string, name: string): void {
  try {
    linkSync(file, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error;
    copyFileSync(file, name, constants.COPYFILE_EXCL);
  }
}

/** Where the new content of folder `final` is written before `replaceFolder` puts it in place: hidden, beside it. */
export function temporaryFolder(final: string): string {
  return sibling(final, 'tmp');
}

/**
 * Puts the complete folder `temporary` in the place of `final`, on the same file system. Two renames are needed where
 * `final` exists; a crash between them leaves the old content where `currentFolder` finds it.
 */
export function replaceFolder(temporary: string, final: string): void {
  const old = sibling(final, 'old');
  syncToDisk(temporary);
  if (existsSync(final)) {
    rmSync(old, { recursive: true, force: true });
    renameSync(final, old);
  }
  renameSync(temporary, final);
  syncToDisk(dirname(resolve(final)));
  rmSync(old, { recursive: true, force: true });
}

/**
 * Removes what killed processes left unfinished in a folder, in which nobody else may be writing: temporary files and folders
 * of the functions here. A lock's stay, whoever holds the folder: others may be trying to get it.
 */
export function removeUnfinished(folder: string): void {
  for (const name of readdirSync(folder)) {
    const isUnfinished = /^\..+\.(tmp|old)$|\.[0-9a-f-]{36}\.tmp$/.test(name) && !name.startsWith('lock.');
    if (isUnfinished) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** The path to read folder `final` from: itself, or what a crash in the middle of `replaceFolder` left of it. */
export function currentFolder(final: string): string {
  const old = sibling(final, 'old');
  return !existsSync(final) && existsSync(old) ? old : final;
}

/** A path by which the same folder or file is always known; of what is not there, the path itself. */
export function realPlace(path: string): string {
  const folder = currentFolder(path);
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}

function sibling(folder: string, suffix: string): string {
  const path = resolve(folder);
  return join(dirname(path), `.${basename(path)}.${suffix}`);
}

/** Makes what was written to a file, or renamed in a folder, last through a power cut. */
export function syncToDisk(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** @throws UserError where the disk on which `path` is to be written has no room for so many bytes. */
export function refuseFullDisk(path: string, bytes: number): void {
  const { bavail, bsize } = onPath(path, () => statfsSync(nearestFolder(resolve(path))));
  if (bytes <= bavail * bsize) return;
  throw new UserError(
    `${path} would have ${sizeText(bytes)}, and its disk has room for ${sizeText(bavail * bsize)}: ` +
      'make room, or choose a path on another',
  );
}

function nearestFolder(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestFolder(dirname(path));
}
