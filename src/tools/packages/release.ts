/** What belongs to the Pyodide that is installed: its lock file, which names packages and their hashes, and where they are. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { version } from 'pyodide';
import { UserError } from '../../errors.ts';

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
}

let locked: Record<string, LockedPackage> | undefined;

function lockedPackages(): Record<string, LockedPackage> {
  locked ??= JSON.parse(readFileSync(join(pyodideFolder, 'pyodide-lock.json'), 'utf8')).packages as Record<
    string,
    LockedPackage
  >;
  return locked;
}

/** A package by its normalized name; undefined where the lock file has none. */
export function lockedPackage(name: string): LockedPackage | undefined {
  const packages = lockedPackages();
  return Object.hasOwn(packages, name) ? packages[name] : undefined;
}

/** The package that brings a module; undefined where Pyodide has none. */
export function packageWith(module: string): string | undefined {
  return Object.values(lockedPackages()).find(
    ({ file_name, imports }) => file_name.endsWith('.whl') && imports.includes(module),
  )?.name;
}

/** By the names under which they are asked for. */
export function lockedNames(): string[] {
  return Object.keys(lockedPackages());
}

/** As Python's packaging compares names: Foo.Bar and foo-bar are one. */
export function normalized(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** @throws UserError where these are not the bytes of the file that the lock file names. */
export function refuseOther(
  { sha256: expected }: Pick<LockedPackage, 'sha256'>,
  bytes: Uint8Array,
  source: string,
): void {
  const actual = sha256(bytes);
  if (actual === expected) return;
  throw new UserError(
    `${source} is not the file that Pyodide ${version} names in its lock file: its sha256 is ${actual}, not ${expected}. ` +
      'A pure-Python wheel of another version can be added from a folder as it is',
  );
}
