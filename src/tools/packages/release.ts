/** What belongs to the Pyodide that is installed: its lock file, which names packages and their hashes, and where they are. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { version } from 'pyodide';

export const pyodideFolder = dirname(createRequire(import.meta.url).resolve('pyodide'));

export { version as pyodideVersion };

/** Where Pyodide publishes the files that its lock file names. */
export const releaseUrl = `https://cdn.jsdelivr.net/pyodide/v${version}/full/`;

export interface LockedPackage {
  name: string;
  version: string;
  file_name: string;
  sha256: string;
  /** Names of other packages. */
  depends: string[];
  /** The modules that it brings. */
  imports: string[];
  package_type: string;
}

interface Lock {
  info: { abi_version: string; python: string };
  packages: Record<string, LockedPackage>;
}

let lock: Lock | undefined;

function readLock(): Lock {
  lock ??= JSON.parse(readFileSync(join(pyodideFolder, 'pyodide-lock.json'), 'utf8')) as Lock;
  return lock;
}

/** A package by its normalized name; undefined where the lock file has none. */
export function lockedPackage(name: string): LockedPackage | undefined {
  const { packages } = readLock();
  return Object.hasOwn(packages, name) ? packages[name] : undefined;
}

/** By the names under which they are asked for. */
export function lockedNames(): string[] {
  return Object.keys(readLock().packages);
}

/** How the names of wheels end that were compiled for this interpreter. */
export function nativeTag(): string {
  const { abi_version, python } = readLock().info;
  const cpython = `cp${python.split('.').slice(0, 2).join('')}`;
  return `${cpython}-${cpython}-pyemscripten_${abi_version}_wasm32`;
}

/** As Python's packaging compares names: Foo.Bar and foo-bar are one. */
export function normalized(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}
