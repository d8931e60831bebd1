import { readFileSync } from 'node:fs';
import type { PyodideAPI } from 'pyodide';
import { UserError } from '../../errors.ts';
import type { PythonPackages } from '../packages/store.ts';
import { wheelFiles } from '../packages/wheel.ts';

/** Unpacks wheels into the interpreter's files, where Python looks for packages. */
export function installPackages(pyodide: PyodideAPI, { wheels }: PythonPackages): void {
  const fs = pyodide.FS as unknown as {
    mkdirTree(path: string): void;
    writeFile(path: string, data: Uint8Array, options: { canOwn: boolean }): void;
  };
  const site = (pyodide as unknown as { _api: { sitepackages: string } })._api.sitepackages;
  const folders = new Set<string>();
  for (const { path } of wheels) {
    for (const [name, contents] of Object.entries(wheelFiles(readFileSync(path), path))) {
      if (name.endsWith('/')) continue;
      if (name.endsWith('.so')) refuseJavaScript(contents, path, name);
      const file = `${site}/${name}`;
      const folder = file.slice(0, file.lastIndexOf('/'));
      if (!folders.has(folder)) fs.mkdirTree(folder);
      folders.add(folder);
      fs.writeFile(file, contents, { canOwn: true });
    }
  }
}

/** Compiled code can bring JavaScript, which its linker would run outside of the sandbox. */
function refuseJavaScript(library: Uint8Array, wheel: string, name: string): void {
  const bytes = Buffer.from(library.buffer, library.byteOffset, library.length);
  if (!['__em_js__', '__start_em_asm'].some(symbol => bytes.includes(symbol))) return;
  throw new UserError(`${wheel} cannot be used in the sandbox: ${name} in it runs JavaScript`);
}
