import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { strToU8, zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Traces } from '../../bench/sandbox/traces.ts';
import { addPackages } from '../../src/tools/packages/add.ts';
import { lockedPackage, sha256 } from '../../src/tools/packages/release.ts';
import { keptPackages, packagesFolder, packagesOf } from '../../src/tools/packages/store.ts';
import { toolPresets } from '../../src/tools/profile.ts';
import { PythonPool } from '../../src/tools/python/pool.ts';
import { importsOf } from '../../src/train/importsPlan.ts';
import { planTraining } from '../../src/train/plan.ts';
import { formatPlan } from '../../src/train/planText.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { openKit } from '../../src/worlds/kit.ts';
import { cli } from '../cli.ts';
import { compiledModule } from './compiledModule.ts';

const { XDG_CACHE_HOME } = process.env;
const cache = mkdtempSync(join(tmpdir(), 'sod-packages-'));
const wheels = join(cache, 'wheels');
const init = { hiddenSize: 64, intermediateSize: 128, layers: 2, heads: 2, kvHeads: 1, headDim: 32 };

beforeAll(() => {
  process.env.XDG_CACHE_HOME = cache;
  mkdirSync(wheels);
  wheel('tiny_thing', '1.0', ['tiny-helper (>=1)', 'elsewhere; extra == "all"', 'not-here; python_version < "3"'], {
    'tiny_thing/__init__.py': 'from tiny_helper import double\nvalue = 1\nseen = []\n',
    'tiny_thing/later.py': 'answer = 42\n',
    'tiny_thing/words.txt': 'a few words',
  });
  wheel('tiny_helper', '2.0', [], { 'tiny_helper.py': 'def double(x):\n    return 2 * x\n' });
});
afterAll(() => {
  if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME;
});

function wheel(
  name: string,
  version: string,
  needs: string[],
  files: Record<string, string | Uint8Array>,
  tag = 'py3-none-any',
): string {
  const header = [
    'Metadata-Version: 2.1',
    `Name: ${name}`,
    `Version: ${version}`,
    ...needs.map(need => `Requires-Dist: ${need}`),
  ];
  const all = { ...files, [`${name}-${version}.dist-info/METADATA`]: `${header.join('\n')}\n\nRequires-Dist: prose\n` };
  const contents = Object.fromEntries(
    Object.entries(all).map(([path, content]) => [path, typeof content === 'string' ? strToU8(content) : content]),
  );
  const file = join(wheels, `${name}-${version}-${tag}.whl`);
  writeFileSync(file, zipSync(contents, { mtime: '2020-01-01' }));
  return file;
}

/** Arguments of Node for a sod whose Pyodide has this lock file: everything else is linked to. */
function ofRelease(lock: object): string[] {
  const root = mkdtempSync(join(cache, 'release-'));
  const link = (from: string, to: string, but: string) => {
    mkdirSync(join(root, to), { recursive: true });
    for (const name of readdirSync(from)) if (name !== but) symlinkSync(resolve(from, name), join(root, to, name));
  };
  link('node_modules', 'node_modules', 'pyodide');
  link('node_modules/pyodide', 'node_modules/pyodide', 'pyodide-lock.json');
  writeFileSync(join(root, 'node_modules/pyodide/pyodide-lock.json'), JSON.stringify(lock));
  symlinkSync(dirname(cli), join(root, 'dist'));
  return ['--preserve-symlinks', '--preserve-symlinks-main', join(root, 'dist', basename(cli))];
}

describe('adding', () => {
  test('refuses what is not the file of the lock file, and then keeps nothing', async () => {
    const folder = mkdtempSync(join(cache, 'false-'));
    writeFileSync(join(folder, lockedPackage('mpmath')!.file_name), 'something else');
    await expect(addPackages(['mpmath'], { from: folder })).rejects.toThrow(/mpmath-.* its sha256 is .*, not e5ebd537/);
    await expect(addPackages(['sympy'], { from: folder })).rejects.toThrow(/has no wheel of sympy .* expected sympy-1/);
    await expect(addPackages(['tiny-thing', 'numpy'], { from: wheels })).rejects.toThrow(/no wheel of numpy/);
    expect(keptPackages()).toEqual([]);
  });

  test('from a mirror asks for the file of the lock file, and checks what it gets', async () => {
    const asked: string[] = [];
    const server = createServer(({ url }, response) => {
      asked.push(url!);
      response.writeHead(url!.includes('numpy') ? 404 : 200).end('something else');
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const from = `http://127.0.0.1:${(server.address() as AddressInfo).port}/full`;
    await expect(addPackages(['numpy'], { from })).rejects.toThrow(/numpy-.*\.whl answered 404; .* --from <folder>/);
    await expect(addPackages(['Mpmath'], { from })).rejects.toThrow(/is not the file that Pyodide/);
    await expect(addPackages(['numpi'], { from })).rejects.toThrow(/has no package 'numpi', did you mean 'numpy'\?/);
    server.close();
    expect(asked).toEqual(['numpy', 'mpmath'].map(name => `/full/${lockedPackage(name)!.file_name}`));
    expect(keptPackages()).toEqual([]);
  });

  test('from a mirror takes what has the hash of the lock file, with what it depends on', async () => {
    const locked = (name: string, depends: string[]) => {
      const [file_name] = readdirSync(wheels).filter(file => file.startsWith(name));
      const hash = sha256(readFileSync(join(wheels, file_name)));
      return { name, version: file_name.split('-')[1], file_name, sha256: hash, depends, imports: [name] };
    };
    const packages = { 'tiny-thing': locked('tiny_thing', ['tiny_helper']), 'tiny-helper': locked('tiny_helper', []) };
    const release = createServer(({ url }, response) => response.end(readFileSync(join(wheels, basename(url!)))));
    await new Promise<void>(resolve => release.listen(0, '127.0.0.1', resolve));
    const from = `http://127.0.0.1:${(release.address() as AddressInfo).port}`;
    const command = ['packages', 'add', 'Tiny.Thing', '--from', from];
    const env = { ...process.env, XDG_CACHE_HOME: join(cache, 'of-release') };
    const { stdout } = await promisify(execFile)(process.execPath, [...ofRelease({ packages }), ...command], { env });
    release.close();
    expect(stdout).toBe('tiny-thing 1.0\ntiny-helper 2.0\n');
  });

  test('takes pure-Python wheels of a folder with what they always depend on', async () => {
    const command = spawnSync(process.execPath, [cli, 'packages', 'add', 'Tiny.Thing', '--from', wheels], {
      encoding: 'utf8',
    });
    expect(command).toMatchObject({ status: 0, stdout: 'tiny-thing 1.0\ntiny-helper 2.0\n' });
    expect(keptPackages()).toMatchObject([
      { name: 'tiny-helper', modules: ['tiny_helper'] },
      { name: 'tiny-thing', modules: ['tiny_thing'], depends: ['tiny-helper'] },
    ]);
    const listed = spawnSync(process.execPath, [cli, 'packages'], { encoding: 'utf8' });
    expect(listed.stdout).toContain('tiny-thing 1.0  tiny_thing-1.0-py3-none-any.whl\n');
  });
});

describe('an interpreter with packages', () => {
  let pool: PythonPool;
  beforeAll(async () => {
    await addPackages(['tiny-thing'], { from: wheels });
    pool = new PythonPool({ packages: packagesOf(['tiny-thing']), maxOutputChars: 200_000 });
    await pool.ready();
  });
  afterAll(() => pool.close());

  test('has imported them, with their submodules and data within reach', async () => {
    const session = pool.session();
    const code = `
import sys
print('tiny_thing' in sys.modules, 'tiny_thing.later' in sys.modules)
import tiny_thing, tiny_thing.later, importlib.resources, importlib.metadata
print(tiny_thing.double(21), tiny_thing.later.answer, importlib.metadata.version('tiny_thing'))
importlib.resources.files('tiny_thing').joinpath('words.txt').read_text()`;
    expect(await session.run(code)).toEqual({ output: "True False\n42 42 1.0\n'a few words'\n" });
    await session.close();
  });

  test('gives every session its own modules, whatever another did to them', async () => {
    const [one, other] = [pool.session(), pool.session()];
    await one.run('import tiny_thing\ntiny_thing.value = 2\ntiny_thing.seen.append(1)\ntiny_thing.double = None');
    await one.run(
      'import sys, tiny_helper\nsys.modules["tiny_helper"] = None\ntiny_helper.double.__code__ = (lambda x: 0).__code__',
    );
    const look =
      'import tiny_thing\nprint(tiny_thing.value, tiny_thing.seen, tiny_thing.double and tiny_thing.double(2))';
    expect(await other.run(look)).toEqual({ output: '1 [] 4\n' });
    expect(await one.run(look)).toEqual({ output: '2 [1] None\n' });
    expect(await pool.runProgram(`import tiny_helper\n${look}`, '')).toEqual({ output: '1 [] 4\n' });
    await Promise.all([one.close(), other.close()]);
  });

  test.each([
    'import tiny_thing, tiny_thing.later\ntiny_thing.value = 2\ntiny_thing.seen.append(tiny_thing)',
    'import sys, tiny_helper\ndel sys.modules["tiny_helper"]\nimport tiny_helper\ntiny_helper.double = print',
  ])('leaves no trace of %j', async code => {
    expect(await new Traces(pool).of(code)).toEqual([]);
  });

  test('lets nobody change their files', async () => {
    const session = pool.session();
    for (const change of ['open(path, "w")', 'os.remove(path)', 'os.chmod(path, 0o777)', 'open(path + "x", "w")']) {
      const { output } = await session.run(`import os, tiny_thing\npath = tiny_thing.__file__\n${change}`);
      expect(output).toMatch(/OSError|PermissionError/);
    }
    await session.close();
  });
});

describe('compiled modules', () => {
  const poolWith = (code: Uint8Array) => {
    const files = {
      'tiny_code/__init__.py': 'def later():\n    from tiny_code import _compiled\n    return _compiled',
      'tiny_code/_compiled.cpython-314-wasm32-emscripten.so': code,
    };
    const path = wheel('tiny_code', '1.0', [], files, 'cp314-cp314-pyemscripten_2026_0_wasm32');
    return new PythonPool({ packages: { wheels: [{ path, sha256: '' }], modules: ['tiny_code'] } });
  };

  test('are loaded before the boundary is closed, also those that a package imports when it needs them', async () => {
    const pool = poolWith(compiledModule('_compiled'));
    const output = expect.stringMatching(/^<module 'tiny_code._compiled' from .*\.so'>\n$/);
    expect(await pool.runProgram('import tiny_code\nprint(tiny_code.later())', '')).toEqual({ output });
    await pool.close();
  });

  test('that hold JavaScript, which the linker would run, are refused', async () => {
    const pool = poolWith(compiledModule('_compiled', '__em_js__evil'));
    await expect(pool.ready()).rejects.toThrow(
      /tiny_code-1.0.* cannot be used in the sandbox: .*\.so in it runs JavaScript/,
    );
    await pool.close();
  });
});

test('a profile whose packages were not added is refused, with what to do', async () => {
  await expect(openKit({ tool: { ...toolPresets.python, packages: ['tiny-thing', 'numpy'] } })).rejects.toThrow(
    "the code tool's profile names the package numpy, which the sandbox has not: run sod packages add numpy",
  );
});

test('a package whose file was changed is refused', () => {
  const [file] = readdirSync(packagesFolder()).filter(name => name.startsWith('tiny_helper'));
  writeFileSync(join(packagesFolder(), file), 'changed');
  expect(() => packagesOf(['tiny-thing'])).toThrow(
    /tiny_helper-2\.0.* is missing or damaged: run sod packages add tiny-helper/,
  );
});

describe('the plan of demonstrations', () => {
  test('reads the modules that code imports', () => {
    const code =
      'import os.path as p, numpy as np\nif x:\n    from sympy.abc import x\nfrom . import a\n# import no\nimportant = 1';
    expect(importsOf(code)).toEqual(['os', 'numpy', 'sympy']);
  });

  test('names what is neither in the standard library nor in the packages, and what to do', async () => {
    const codes = ['import math, numpy', 'import numpy, nowhere', 'import sympy, tiny_thing'];
    const rows = codes.map(code => ({
      messages: [
        { role: 'user', content: 'Compute.' },
        {
          role: 'assistant',
          content: '',
          tool_calls: [{ type: 'function', function: { name: 'python', arguments: { code } } }],
        },
        { role: 'tool', content: '1' },
        { role: 'assistant', content: 'Done.' },
      ],
    }));
    const dataset = join(cache, 'demonstrations.jsonl');
    writeFileSync(dataset, rows.map(row => `${JSON.stringify(row)}\n`).join(''));
    await addPackages(['tiny-thing'], { from: wheels });
    const planned = (packages: string[]) =>
      planTraining(parseRecipe({ method: 'sft', dataset, init, tool: { packages } }));
    const armed = await planned(['tiny-thing']);
    expect(armed).toMatchObject({ missingPackages: [] });
    expect(armed.data).toEqual([
      '3 demonstrations',
      'their code imports what the tool has not: numpy (in 2), nowhere (in 1), sympy (in 1); ' +
        'sod packages add numpy sympy, and name them in tool.packages; ' +
        'Pyodide has no package for nowhere: a pure-Python wheel can be added with sod packages add --from <folder>',
    ]);
    const lacking = await planned(['numpy']);
    expect(formatPlan(lacking)).toMatch(/^packages +the code tool's profile names .* run sod packages add numpy$/m);
    expect(lacking.data[1]).toMatch(
      /^their code imports what the tool has not: nowhere \(in 1\), .*tiny_thing \(in 1\)/,
    );
  });
});
