/**
 * The packages that were added for the sandbox, in the user's cache: beside each file, which is named as it was published,
 * what is known of it in `<name>.json`. Each release of Pyodide has a folder of its own.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { readJson } from '../../documents.ts';
import { UserError } from '../../errors.ts';
import { writeFileWhole } from '../../files.ts';
import { firstIssue } from '../../schema.ts';
import { onPath } from '../../systemErrors.ts';
import { normalized, pyodideVersion, sha256 } from './release.ts';

const keptPackage = z.object({
  name: z.string(),
  version: z.string(),
  file: z.string().regex(/^[\w.+-]+$/),
  sha256: z.string(),
  depends: z.array(z.string()),
  modules: z.array(z.string()),
});
export type KeptPackage = z.output<typeof keptPackage>;

/** What an interpreter loads before it runs anything. */
export interface PythonPackages {
  /** Files with their hashes, what depends on others last. */
  wheels: { path: string; sha256: string }[];
  /** What is imported. */
  modules: string[];
}

export const noPackages: PythonPackages = { wheels: [], modules: [] };

export function packagesFolder(): string {
  const { XDG_CACHE_HOME } = process.env;
  return resolve(XDG_CACHE_HOME || join(homedir(), '.cache'), 'sod', 'packages', `pyodide-${pyodideVersion}`);
}

/** @throws UserError where the cache cannot be written to. */
export function keepPackage(entry: KeptPackage, bytes: Uint8Array): void {
  const folder = packagesFolder();
  onPath(folder, () => mkdirSync(folder, { recursive: true }));
  writeFileWhole(join(folder, entry.file), bytes);
  writeFileWhole(join(folder, `${entry.name}.json`), `${JSON.stringify(entry, null, 2)}\n`);
}

/** All that were added, in the order of their names. @throws UserError if an entry is damaged. */
export function keptPackages(): KeptPackage[] {
  const folder = packagesFolder();
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter(name => name.endsWith('.json'));
  return names.sort().map(name => parseEntry(join(folder, name)));
}

/** @throws UserError if its entry is damaged. */
export function keptPackageOf(name: string): KeptPackage | undefined {
  const file = join(packagesFolder(), `${name}.json`);
  return existsSync(file) ? parseEntry(file) : undefined;
}

function parseEntry(file: string): KeptPackage {
  const entry = keptPackage.safeParse(readJson(file));
  if (entry.success) return entry.data;
  throw new UserError(`${file}: ${firstIssue(entry.error)}; remove it and run sod packages add again`);
}

/** Those of a profile's packages, or that they depend on, which were not added. */
export function missingPackages(names: readonly string[]): string[] {
  return withDependencies(names)
    .filter(({ entry }) => !entry)
    .map(({ name }) => name);
}

/**
 * What an interpreter loads for a profile's packages.
 * @throws UserError that says what to add, or which file is damaged.
 */
export function packagesOf(names: readonly string[]): PythonPackages {
  const missing = missingPackages(names);
  if (missing.length > 0) throw new UserError(missingText(missing));
  const found = withDependencies(names).map(({ entry }) => entry!);
  const asked = new Set(names.map(normalized));
  return {
    wheels: found.map(checkedFile),
    modules: found.flatMap(entry => (asked.has(entry.name) ? entry.modules : [])),
  };
}

export function missingText(missing: readonly string[]): string {
  const which = missing.length === 1 ? 'package' : 'packages';
  return `the code tool's profile names the ${which} ${missing.join(', ')}, which the sandbox has not: run sod packages add ${missing.join(' ')}`;
}

function checkedFile({ name, file, sha256: expected }: KeptPackage): { path: string; sha256: string } {
  const path = join(packagesFolder(), file);
  if (existsSync(path) && sha256(readFileSync(path)) === expected) return { path, sha256: expected };
  throw new UserError(`${path} is missing or damaged: run sod packages add ${name}`);
}

interface Found {
  name: string;
  entry: KeptPackage | undefined;
}

/** Each package after those that it depends on. */
function withDependencies(names: readonly string[]): Found[] {
  const found = new Map<string, Found>();
  const seen = new Set<string>();
  const visit = (name: string) => {
    if (seen.has(name)) return;
    seen.add(name);
    const entry = keptPackageOf(name);
    entry?.depends.forEach(visit);
    found.set(name, { name, entry });
  };
  names.map(normalized).toSorted().forEach(visit);
  return [...found.values()];
}
