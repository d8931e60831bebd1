import { readFileSync } from 'node:fs';
import type { PyodideAPI } from 'pyodide';
import { UserError } from '../../errors.ts';
import type { PythonPackages } from '../packages/store.ts';
import { wheelFiles } from '../packages/wheel.ts';

/**
 * Unpacks wheels into the interpreter's files, where Python looks for packages.
 * @returns the names of their compiled modules
 */
export function installPackages(pyodide: PyodideAPI, { wheels }: PythonPackages): string[] {
  const fs = pyodide.FS as unknown as {
    mkdirTree(path: string): void;
    writeFile(path: string, data: Uint8Array, options: { canOwn: boolean }): void;
  };
  const site = (pyodide as unknown as { _api: { sitepackages: string } })._api.sitepackages;
  const folders = new Set<string>();
  const compiled: string[] = [];
  for (const { path } of wheels) {
    for (const [name, contents] of Object.entries(wheelFiles(readFileSync(path), path))) {
      if (name.endsWith('/')) continue;
      if (name.endsWith('.so')) {
        refuseJavaScript(contents, path, name);
        compiled.push(...moduleAt(name));
      }
      const file = `${site}/${name}`;
      const folder = file.slice(0, file.lastIndexOf('/'));
      if (!folders.has(folder)) fs.mkdirTree(folder);
      folders.add(folder);
      fs.writeFile(file, contents, { canOwn: true });
    }
  }
  return compiled;
}

/** The module that a compiled file is, `numpy/random/mtrand.cpython-314-wasm32-emscripten.so` for one; none for other libraries. */
function moduleAt(file: string): string[] {
  const [, path] = /^((?:[A-Za-z_]\w*\/)*[A-Za-z_]\w*)(?:\.[\w-]+)?\.so$/.exec(file) ?? [];
  return path ? [path.replaceAll('/', '.')] : [];
}

/** Compiled code can bring JavaScript, which its linker would run outside of the sandbox. */
function refuseJavaScript(library: Uint8Array, wheel: string, name: string): void {
  const bytes = Buffer.from(library.buffer, library.byteOffset, library.length);
  if (!['__em_js__', '__start_em_asm'].some(symbol => bytes.includes(symbol))) return;
  throw new UserError(`${wheel} cannot be used in the sandbox: ${name} in it runs JavaScript`);
}
