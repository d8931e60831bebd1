import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/**
 * Writes a file so that a reader, or the next start after a crash, finds the old content or the new, never a part.
 * `data` is the content, or a function that writes it to an open file descriptor.
 */
export function writeFileWhole(path: string, data: string | Uint8Array | ((fd: number) => void)): void {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const fd = openSync(temporary, 'wx');
    try {
      if (typeof data === 'function') data(fd);
      else writeFileSync(fd, data);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  syncFolder(dirname(path));
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
  syncFolder(temporary);
  if (existsSync(final)) {
    rmSync(old, { recursive: true, force: true });
    renameSync(final, old);
  }
  renameSync(temporary, final);
  syncFolder(dirname(resolve(final)));
  rmSync(old, { recursive: true, force: true });
}

/** The path to read folder `final` from: itself, or what a crash in the middle of `replaceFolder` left of it. */
export function currentFolder(final: string): string {
  const old = sibling(final, 'old');
  return !existsSync(final) && existsSync(old) ? old : final;
}

function sibling(folder: string, suffix: string): string {
  const path = resolve(folder);
  return join(dirname(path), `.${basename(path)}.${suffix}`);
}

/** Makes renames in a folder last through a power cut. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
