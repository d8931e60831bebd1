/**
 * Takes sympy and mpmath from PyPI (7 MB, with the `pip` of `python3`), adds them for the sandbox and says what they cost:
 * `npm run bench:packages`. Exits with 1 if sympy is wrong, or one session sees what another did to it.
 */
import { execFileSync } from 'node:child_process';
import { addPackages } from '../../src/tools/packages/add.ts';
import { noPackages, type PythonPackages, packagesOf } from '../../src/tools/packages/store.ts';
import { PythonPool } from '../../src/tools/python/pool.ts';
import { Traces } from './traces.ts';

/** Other versions than Pyodide's, whose wheels of the same name are built anew. */
const wanted = ['sympy==1.13.3', 'mpmath==1.3.0'];
const folder = 'runs/bench/packages';
const wheels = `${folder}/wheels`;
const rounds = 3;

execFileSync('python3', ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', wheels, ...wanted], {
  stdio: 'inherit',
});
process.env.XDG_CACHE_HOME = `${folder}/cache`;
const added = await addPackages(['sympy'], { from: wheels });
console.log(`added ${added.map(({ name, version }) => `${name} ${version}`).join(', ')}`);
const sets: Record<string, PythonPackages> = { 'standard library': noPackages, sympy: packagesOf(['sympy']) };

for (const [name, packages] of Object.entries(sets)) {
  // The first of a set makes the picture of its memory.
  await start(packages);
  const starts: string[] = [];
  for (let round = 0; round < rounds; round++) starts.push(await start(packages));
  console.log(`${name.padEnd(16)} starts in ${starts.join(', ')}`);
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

const programs: [string, string][] = [
  ['from sympy import *\nx = symbols("x")\nprint(solve(x**3 - 6*x**2 + 11*x - 6, x))', '[1, 2, 3]\n'],
  ['from sympy import *\nx = symbols("x")\nprint(integrate(exp(-x**2), (x, -oo, oo)))', 'sqrt(pi)\n'],
  ['from sympy import factorint\nprint(factorint(2**64 + 1))', '{274177: 1, 67280421310721: 1}\n'],
];

const pool = new PythonPool({ packages: sets.sympy, timeoutMs: 30_000, maxOutputChars: 200_000 });
await pool.ready();
for (const [source, expected] of programs) {
  const began = performance.now();
  const { output } = await pool.runProgram(source, '');
  const isRight = output === expected;
  console.log(
    `${source.split('\n').at(-1)}: ${JSON.stringify(output)} in ${(performance.now() - began).toFixed(0)} ms`,
  );
  if (!isRight) process.exitCode = 1;
}

const traces = new Traces(pool);
const changes = [
  'import sympy\nsympy.solve = None\nsympy.core.symbol.Symbol.__add__ = lambda a, b: 0\nsympy.Integer(7)',
  'import sympy, sys, mpmath\nmpmath.mp.dps = 50\nsys.modules["sympy"] = None',
  'import sympy.physics.mechanics, sympy.stats\nsympy.primerange(10**5)',
];
for (const change of changes) {
  const found = await traces.of(change);
  if (found.length === 0) continue;
  console.log(`${change}\n${found.map(line => `    ${line}\n`).join('')}`);
  process.exitCode = 1;
}
await pool.close();
console.log(process.exitCode ? 'something is wrong' : 'nothing of one session reached another');
