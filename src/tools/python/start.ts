import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { loadPyodide, type PyodideAPI } from 'pyodide';
import { UserError } from '../../errors.ts';
import { writeFileWhole } from '../../files.ts';
import { pyodideFolder, pyodideVersion } from '../packages/release.ts';
import { noPackages, type PythonPackages } from '../packages/store.ts';
import { parseWheelName } from '../packages/wheel.ts';
import { type Boundary, type BoundaryOptions, withBoundary } from './boundary.ts';
import { preparation } from './cell.ts';
import { HOME } from './files.ts';
import { installPackages } from './install.ts';

export interface StartOptions extends BoundaryOptions {
  packages: PythonPackages;
}

/**
 * The memory of an interpreter that has started and loaded its modules: 30 MB and more, which take seconds to make and nothing
 * to read. They are kept among the npm packages, under the names of what they were made of: one for each set of packages.
 */
const cache = join(pyodideFolder, '..', '.cache', 'sod');
const family = `python-${digest(pyodideVersion, preparation())}`;

/**
 * Bytes of a WebAssembly function that run before it is compiled once more, for speed. Much runs at the start and hardly ever
 * again: with V8's own 1.8 MB a start takes a quarter more CPU time, and programs are no faster.
 */
setFlagsFromString('--wasm-tiering-budget=20000000');

/** A snapshot is the same for all, whatever they may use. */
const SNAPSHOT_BYTES = 4096 * 2 ** 20;

/**
 * Pyodide behind its boundary, every time in the same state, with its packages imported.
 * @throws UserError where they need more memory than there may be.
 */
export async function startPyodide(options: StartOptions): Promise<[PyodideAPI, Boundary]> {
  const { packages, memoryBytes } = options;
  // Snapshots are of the interpreter's memory, and compiled code is not in it.
  const isPure = packages.wheels.every(({ path }) => parseWheelName(basename(path))?.isPure);
  const held = isPure ? packages : noPackages;
  const snapshot = keptSnapshot(held) ?? (await makeSnapshot(options, held));
  if (snapshot.length > memoryBytes) throw tooLittle(memoryBytes);
  const initialBytes = Math.floor(snapshot.length / 65_536) * 65_536;
  return withBoundary({ ...options, initialBytes }, async () => {
    const pyodide = await load({ _loadSnapshot: snapshot });
    const compiled = installPackages(pyodide, packages);
    // Compiled code can be loaded now or never: packages import some of theirs when it is first used, as numpy does numpy.random.
    if (!isPure) importModules(pyodide, [...packages.modules, ...compiled], memoryBytes);
    return pyodide;
  });
}

function load(options: Parameters<typeof loadPyodide>[0]): Promise<PyodideAPI> {
  return loadPyodide({
    indexURL: pyodideFolder,
    jsglobals: Object.freeze(Object.create(null)),
    env: { HOME, PYTHONHASHSEED: '0' },
    stdout: () => {},
    stderr: () => {},
    ...options,
  });
}

function importModules(pyodide: PyodideAPI, modules: string[], memoryBytes: number): void {
  try {
    pyodide.runPython(preparation(modules));
  } catch (error) {
    throw (error as { type?: string }).type === 'MemoryError' ? tooLittle(memoryBytes) : error;
  }
}

function tooLittle(memoryBytes: number): UserError {
  return new UserError(
    `the packages of the code tool need more than ${memoryBytes / 2 ** 20} MiB: raise memoryMiB in its profile`,
  );
}

function snapshotName({ wheels, modules }: PythonPackages): string {
  if (wheels.length === 0) return `${family}.memory`;
  return `${family}-${digest(...wheels.map(({ sha256 }) => sha256), ...modules)}.memory`;
}

function digest(...parts: string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16);
}

function keptSnapshot(packages: PythonPackages): Uint8Array | undefined {
  const path = join(cache, snapshotName(packages));
  return existsSync(path) ? readFileSync(path) : undefined;
}

async function makeSnapshot({ control }: BoundaryOptions, packages: PythonPackages): Promise<Uint8Array> {
  const options = { control, memoryBytes: SNAPSHOT_BYTES };
  const [pyodide] = await withBoundary(options, () => load({ _makeSnapshot: true }));
  installPackages(pyodide, packages);
  pyodide.runPython(preparation(packages.modules));
  const snapshot = pyodide.makeMemorySnapshot();
  keep(snapshotName(packages), snapshot);
  return snapshot;
}

/** In the place of those of other versions. Where nothing may be written, every thread makes its own. */
function keep(name: string, snapshot: Uint8Array): void {
  try {
    mkdirSync(cache, { recursive: true });
    writeFileWhole(join(cache, name), snapshot);
    for (const other of readdirSync(cache)) {
      if (/^python-.*\.memory$/.test(other) && !other.startsWith(family)) rmSync(join(cache, other), { force: true });
    }
  } catch (error) {
    const isRefused = error instanceof UserError || (error as NodeJS.ErrnoException).syscall !== undefined;
    if (!isRefused) throw error;
  }
}
