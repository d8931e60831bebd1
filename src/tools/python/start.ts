import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { loadPyodide, type PyodideAPI, version } from 'pyodide';
import { UserError } from '../../errors.ts';
import { writeFileWhole } from '../../files.ts';
import { type Boundary, type BoundaryOptions, withBoundary } from './boundary.ts';
import { preparation } from './cell.ts';
import { HOME } from './files.ts';

const pyodideFolder = dirname(createRequire(import.meta.url).resolve('pyodide'));

/**
 * The memory of an interpreter that has started and loaded its modules: 30 MB, which take seconds to make and nothing to read.
 * They are kept among the npm packages, under the name of what they were made of.
 */
const cache = join(pyodideFolder, '..', '.cache', 'sod');
const snapshotName = `python-${createHash('sha256').update(version).update(preparation).digest('hex').slice(0, 16)}.memory`;

/** Pyodide behind its boundary, every time in the same state. */
export async function startPyodide(options: BoundaryOptions): Promise<[PyodideAPI, Boundary]> {
  const snapshot = keptSnapshot() ?? (await makeSnapshot(options));
  return withBoundary(options, () => load({ _loadSnapshot: snapshot }));
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

function keptSnapshot(): Uint8Array | undefined {
  const path = join(cache, snapshotName);
  return existsSync(path) ? readFileSync(path) : undefined;
}

async function makeSnapshot(options: BoundaryOptions): Promise<Uint8Array> {
  const [pyodide] = await withBoundary(options, () => load({ _makeSnapshot: true }));
  pyodide.runPython(preparation);
  const snapshot = pyodide.makeMemorySnapshot();
  keep(snapshot);
  return snapshot;
}

/** In the place of those of other versions. Where nothing may be written, every thread makes its own. */
function keep(snapshot: Uint8Array): void {
  try {
    mkdirSync(cache, { recursive: true });
    writeFileWhole(join(cache, snapshotName), snapshot);
    for (const name of readdirSync(cache)) {
      if (/^python-.*\.memory$/.test(name) && name !== snapshotName) rmSync(join(cache, name), { force: true });
    }
  } catch (error) {
    const isRefused = error instanceof UserError || (error as NodeJS.ErrnoException).syscall !== undefined;
    if (!isRefused) throw error;
  }
}
