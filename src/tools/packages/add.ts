import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../errors.ts';
import { nearestName } from '../../schema.ts';
import { isServerUrl } from '../../serverUrl.ts';
import { onPath } from '../../systemErrors.ts';
import {
  type LockedPackage,
  lockedNames,
  lockedPackage,
  normalized,
  pyodideVersion,
  refuseOther,
  releaseUrl,
  sha256,
} from './release.ts';
import { type KeptPackage, keepPackage, keptPackageOf } from './store.ts';
import { parseWheelName, readWheel } from './wheel.ts';

export interface AddOptions {
  /** A folder of wheels, or the address of a mirror of Pyodide's release. Default: the release. */
  from?: string;
  /** Called before each file that is taken. */
  onFile?(file: string): void;
}

/** A package before it is kept. */
interface Candidate {
  entry: KeptPackage;
  bytes: Uint8Array;
  /** Taken if they are where it came from. */
  mayDepend: string[];
}

type Find = (name: string) => Promise<Candidate | undefined>;

/**
 * Takes packages, with what they depend on, for the sandbox. Nothing is kept unless all of them are there and right.
 * @returns what was taken
 * @throws UserError where one is missing, cannot be had, or is not what Pyodide's lock file names.
 */
export async function addPackages(names: readonly string[], { from, onFile }: AddOptions = {}): Promise<KeptPackage[]> {
  const isFolder = from !== undefined && !isServerUrl(from);
  const find: Find = isFolder ? folderOf(from, onFile) : name => download(name, from ?? releaseUrl, onFile);
  const open = names.map(name => ({ name: normalized(name), isOptional: false, isAsked: true }));
  const taken = new Map<string, Candidate>();
  for (let next = open.shift(); next; next = open.shift()) {
    const { name, isOptional, isAsked } = next;
    if (taken.has(name)) continue;
    const candidate = await find(name);
    if (!candidate) {
      if (isOptional || (!isAsked && keptPackageOf(name))) continue;
      throw new UserError(absence(name, isFolder ? from : undefined));
    }
    taken.set(name, candidate);
    open.push(...candidate.entry.depends.map(name => ({ name, isOptional: false, isAsked: false })));
    open.push(...candidate.mayDepend.map(name => ({ name, isOptional: true, isAsked: false })));
  }
  return [...taken.values()].map(({ entry, bytes, mayDepend }) => {
    const kept = { ...entry, depends: [...entry.depends, ...mayDepend.filter(name => taken.has(name))] };
    keepPackage(kept, bytes);
    return kept;
  });
}

async function download(name: string, url: string, onFile?: (file: string) => void): Promise<Candidate | undefined> {
  const locked = lockedWheel(name);
  if (!locked) return undefined;
  const address = new URL(locked.file_name, url.endsWith('/') ? url : `${url}/`).href;
  onFile?.(address);
  const bytes = await fetchBytes(address);
  return { entry: entryOf(locked, bytes, address), bytes, mayDepend: [] };
}

async function fetchBytes(address: string): Promise<Uint8Array> {
  let refusal: string;
  try {
    const response = await fetch(address);
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
    refusal = `answered ${response.status}`;
  } catch (error) {
    const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
    refusal = `cannot be reached (${cause?.code ?? cause?.message ?? (error as Error).message})`;
  }
  throw new UserError(`${address} ${refusal}; wheels that you have can be added with --from <folder>`);
}

/** Wheels of a folder: what the lock file names by its hash, others as they are if they run in the interpreter. */
function folderOf(folder: string, onFile?: (file: string) => void): Find {
  const files = onPath(folder, () => readdirSync(folder));
  return async name => {
    const locked = lockedWheel(name);
    const file = locked && files.includes(locked.file_name) ? locked.file_name : otherWheel(name, files, folder);
    if (!file) return undefined;
    const path = join(folder, file);
    onFile?.(path);
    const bytes = onPath(path, () => readFileSync(path));
    if (file === locked?.file_name) return { entry: entryOf(locked, bytes, path), bytes, mayDepend: [] };
    const { version, depends, mayDepend, modules } = readWheel(bytes, parseWheelName(file)!, path);
    return { entry: { name, version, file, sha256: sha256(bytes), depends, modules }, bytes, mayDepend };
  };
}

function otherWheel(name: string, files: string[], folder: string): string | undefined {
  const fitting = files.filter(file => {
    const wheel = parseWheelName(file);
    return wheel?.name === name && wheel.isPure;
  });
  if (fitting.length > 1)
    throw new UserError(`${folder} has several wheels of ${name}: ${fitting.join(', ')}; leave one`);
  return fitting[0];
}

/** Of what the lock file names, wheels are packages; tests and shared libraries are not. */
function lockedWheel(name: string): LockedPackage | undefined {
  const locked = lockedPackage(name);
  return locked?.file_name.endsWith('.whl') ? locked : undefined;
}

function entryOf(locked: LockedPackage, bytes: Uint8Array, source: string): KeptPackage {
  refuseOther(locked, bytes, source);
  const { name, version, file_name: file, sha256, depends, imports: modules } = locked;
  return { name: normalized(name), version, file, sha256, depends: depends.map(normalized), modules };
}

function absence(name: string, folder?: string): string {
  const locked = lockedWheel(name);
  if (folder) {
    const expected = locked ? `${locked.file_name}, or a pure-Python wheel of another version` : 'a pure-Python wheel';
    return `${folder} has no wheel of ${name} that runs in the sandbox: expected ${expected}`;
  }
  const nearest = nearestName(name, lockedNames());
  return `Pyodide ${pyodideVersion} has no package '${name}'${nearest ? `, did you mean '${nearest}'?` : '.'} A pure-Python wheel can be added with --from <folder>`;
}
