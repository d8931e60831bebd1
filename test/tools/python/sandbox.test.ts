import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { PythonPool } from '../../../src/tools/python/pool.ts';

const pool = new PythonPool();
beforeAll(() => pool.ready());
afterAll(() => pool.close());

async function run(code: string) {
  const session = pool.session();
  const result = await session.run(code);
  await session.close();
  return result;
}

test.each([
  'js',
  'pyodide',
  'pyodide.code',
  'pyodide.http',
  'pyodide.ffi',
  'pyodide_js',
  '_pyodide',
  '_pyodide_core',
  'micropip',
  'ctypes',
])('%s cannot be imported', async name => {
  const { output, error } = await run(`import ${name}`);
  expect(error).toBe('exception');
  expect(output).toContain(`ModuleNotFoundError: No module named '${name.split('.')[0]}`);
});

test.each([
  ['a socket', 'import socket; socket.create_connection(("127.0.0.1", 80))', /socket.gaierror/],
  ['a URL', 'import urllib.request; urllib.request.urlopen("http://127.0.0.1/")', /URLError/],
  ['a process', 'import subprocess; subprocess.run(["ls"])', /OSError/],
  ['a fork', 'import os; os.fork()', /Error/],
  ['a pipe', 'import os; os.pipe()', /OSError/],
  ['a write to the library', 'open("/lib/python314.zip", "w")', /PermissionError/],
  ["a change of the library's mode", 'import os; os.chmod("/lib/python314.zip", 0o777)', /OSError/],
  ['a file in the root', 'open("/a", "w")', /PermissionError/],
  ['a move into the root', 'import os; open("a", "w"); os.rename("a", "/a")', /PermissionError/],
])('%s is refused', async (_, code, output) => {
  const result = await run(code);
  expect(result.error).toBe('exception');
  expect(result.output).toMatch(output);
});

test('a shell command does not run', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'sod-sandbox-'));
  await run(`import os; os.system("touch ${dir}/escaped")`);
  await run(`import os; os.popen("touch ${dir}/escaped").read()`);
  expect(readdirSync(dir)).toEqual([]);
});

test('only its own files and nothing of the environment can be seen', async () => {
  const { output } = await run(
    'import os, sys\nprint(sorted(os.environ), os.listdir("/home"), os.path.exists("/work"), os.path.exists("/etc"), sys.argv, os.getcwd())',
  );
  expect(output).toBe("['HOME', 'LANG', 'PATH', 'USER'] ['user'] False False [''] /home/user\n");
});

/** Python that gets hold of the bridge to JavaScript in spite of the blocked imports, as `core` and `bridge`. */
const smuggled = `
import sys, importlib.machinery as m, importlib.util as u
sys.meta_path[:] = [finder for finder in sys.meta_path if finder.__name__ != 'Hidden']
core = u.module_from_spec(m.BuiltinImporter.find_spec('_pyodide_core'))
m.BuiltinImporter.exec_module(core)
`;

test.each([
  [
    'objects of JavaScript among all objects',
    `import gc
for o in gc.get_objects():
    if 'Js' in type(o).__name__ and not isinstance(o, type): print(o.constructor.constructor('return process')())`,
  ],
  [
    'subclasses of object',
    `found = [c for c in object.__subclasses__() if c.__name__ == 'JsProxy']
for c in found: print(c.__new__(c).constructor.constructor)`,
  ],
  ['modules by another way', `${smuggled}\nprint(core.to_js([1]).constructor.constructor('return process')())`],
  ['proxies made anew', `${smuggled}\nprint(core.create_proxy(print).constructor)`],
  [
    'native code',
    'open("evil.so", "wb").write(b"\\0asm")\nimport _imp, importlib.machinery as m\ns = m.ModuleSpec("evil", None, origin="/home/user/evil.so")\n_imp.create_dynamic(s)',
  ],
])('JavaScript is out of reach: %s', async (_, code) => {
  const { output } = await run(code);
  expect(output).not.toMatch(/\[object|native code|v2\d\.|Object/);
  expect((await run('1')).output).toBe('1\n');
});

test('the clock tells UTC, wherever the host stands', async () => {
  onTestFinished(() => void vi.unstubAllEnvs());
  vi.stubEnv('TZ', 'America/New_York');
  expect(new Date(0).getHours()).toBe(19);
  const own = new PythonPool();
  const session = own.session();
  const { output } = await session.run(
    'import time\nprint(time.tzname, time.timezone, time.localtime(0)[:6], time.mktime((1970, 1, 32, 0, 0, 0, 0, 0, -1)))',
  );
  await own.close();
  expect(output).toBe("('UTC', 'UTC') 0 (1970, 1, 1, 0, 0, 0) 2678400.0\n");
});
