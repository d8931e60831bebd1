/**
 * Takes sympy, mpmath and, for its compiled code, uharfbuzz from PyPI (8 MB, with the `pip` of `python3`), runs them in the sandbox
 * and says what they cost: `npm run bench:packages`. Exits with 1 if one is wrong, or a session sees what another did to it.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { addPackages } from '../../src/tools/packages/add.ts';
import { sha256 } from '../../src/tools/packages/release.ts';
import { noPackages, type PythonPackages, packagesOf } from '../../src/tools/packages/store.ts';
import { PythonPool } from '../../src/tools/python/pool.ts';
import { Traces } from './traces.ts';

/** Other versions than Pyodide's, whose wheels of the same name are built anew. */
const wanted = ['sympy==1.13.3', 'mpmath==1.3.0'];
const folder = 'runs/bench/packages';
const wheels = `${folder}/wheels`;
const rounds = 3;

download(...wanted);
const compiled = 'uharfbuzz-0.57.0-cp311-abi3-pyemscripten_2026_0_wasm32.whl';
download(
  '--platform',
  'pyemscripten_2026_0_wasm32',
  '--python-version',
  '3.14',
  '--only-binary',
  ':all:',
  'uharfbuzz==0.57.0',
);
process.env.XDG_CACHE_HOME = `${folder}/cache`;
const added = await addPackages(['sympy'], { from: wheels });
console.log(`added ${added.map(({ name, version }) => `${name} ${version}`).join(', ')}`);
const sets: Record<string, PythonPackages> = {
  'standard library': noPackages,
  sympy: packagesOf(['sympy']),
  // Of compiled wheels `addPackages` takes those of Pyodide's lock file alone: this one is here because its code is harmless.
  uharfbuzz: { wheels: [wheelAt(`${wheels}/${compiled}`)], modules: ['uharfbuzz'] },
};

for (const [name, packages] of Object.entries(sets)) {
  // The first of a set makes the picture of its memory.
  await start(packages);
  const starts: string[] = [];
  for (let round = 0; round < rounds; round++) starts.push(await start(packages));
  console.log(`${name.padEnd(16)} starts in ${starts.join(', ')}`);
}

function download(...asked: string[]): void {
  execFileSync('python3', ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', wheels, ...asked], {
    stdio: 'inherit',
  });
}

function wheelAt(path: string) {
  return { path, sha256: sha256(readFileSync(path)) };
}

/** How long an interpreter takes to start, and what of it the CPU worked. */
async function start(packages: PythonPackages): Promise<string> {
  const [began, used] = [performance.now(), process.cpuUsage()];
  const pool = new PythonPool({ packages });
  await pool.ready();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(used);
  await pool.close();
  return `${seconds.toFixed(2)} s (CPU ${((user + system) / 1e6).toFixed(2)} s)`;
}

interface Trial {
  packages: PythonPackages;
  programs: [source: string, output: string][];
  /** What a session does that no other may see. */
  changes: string[];
}

const trials: Trial[] = [
  {
    packages: sets.sympy,
    programs: [
      ['from sympy import *\nx = symbols("x")\nprint(solve(x**3 - 6*x**2 + 11*x - 6, x))', '[1, 2, 3]\n'],
      ['from sympy import *\nx = symbols("x")\nprint(integrate(exp(-x**2), (x, -oo, oo)))', 'sqrt(pi)\n'],
      ['from sympy import factorint\nprint(factorint(2**64 + 1))', '{274177: 1, 67280421310721: 1}\n'],
    ],
    changes: [
      'import sympy\nsympy.solve = None\nsympy.core.symbol.Symbol.__add__ = lambda a, b: 0\nsympy.Integer(7)',
      'import sympy, sys, mpmath\nmpmath.mp.dps = 50\nsys.modules["sympy"] = None',
      'import sympy.physics.mechanics, sympy.stats\nsympy.primerange(10**5)',
    ],
  },
  {
    packages: sets.uharfbuzz,
    programs: [
      [
        'import uharfbuzz\nb = uharfbuzz.Buffer()\nb.add_str("naïve")\nprint([i.codepoint for i in b.glyph_infos])',
        '[110, 97, 239, 118, 101]\n',
      ],
      // The package itself does not import this part of its compiled code.
      ['import uharfbuzz._harfbuzz_test as part\nprint(part.__name__)', 'uharfbuzz._harfbuzz_test\n'],
    ],
    changes: [
      'import uharfbuzz\nbuffers = [uharfbuzz.Buffer() for _ in range(1000)]\nfor b in buffers: b.add_str("text" * 100)',
      'import uharfbuzz, sys\nuharfbuzz.Buffer = None\ndel sys.modules["uharfbuzz._harfbuzz"]',
    ],
  },
];

for (const trial of trials) await attempt(trial);
console.log(process.exitCode ? 'something is wrong' : 'nothing of one session reached another');

async function attempt({ packages, programs, changes }: Trial): Promise<void> {
  const pool = new PythonPool({ packages, timeoutMs: 30_000, maxOutputChars: 200_000 });
  await pool.ready();
  for (const [source, expected] of programs) {
    const began = performance.now();
    const { output } = await pool.runProgram(source, '');
    const milliseconds = (performance.now() - began).toFixed(0);
    console.log(`${source.split('\n').at(-1)}: ${JSON.stringify(output)} in ${milliseconds} ms`);
    if (output !== expected) process.exitCode = 1;
  }
  const traces = new Traces(pool);
  for (const change of changes) {
    const found = await traces.of(change);
    if (found.length === 0) continue;
    console.log(`${change}\n${found.map(line => `    ${line}\n`).join('')}`);
    process.exitCode = 1;
  }
  await pool.close();
}
