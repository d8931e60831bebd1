/**
 * Whether a run is the same whatever happens to it: `npm run bench:resume`. One small SOD run is made several times, then killed
 * at random system calls and resumed; counted is how often its weights come out bit for bit. Every second kill is at one of the
 * system calls that change files. No peer takes part; `SOD_KERNELS` names other kernels than the machine's.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { Random } from '../src/random.ts';
import { native } from '../src/tensor/native.ts';
import { formatRecipe, parseRecipe } from '../src/train/recipe.ts';
import { smallSodRun, writeSmallModels } from './smallSodRun.ts';

const program = new Command('bench:resume')
  .description('How many runs of one recipe, undisturbed or killed and resumed, end with the same weights.')
  .option('--runs <count>', 'undisturbed ones', Number, 10)
  .option('--kills <count>', 'killed and resumed ones', Number, 40)
  .option('--seed <number>', 'of the moments of the kills', Number, 1)
  .parse();
const { runs, kills, seed } = program.opts<{ runs: number; kills: number; seed: number }>();
if (spawnSync('strace', ['-V']).error) program.error('strace is needed: apt-get install strace');

const folder = mkdtempSync(join(tmpdir(), 'sod-bench-resume-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const recipeFile = join(folder, 'recipe.yaml');
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

const recipe = parseRecipe(smallSodRun(await writeSmallModels(folder)));
writeFileSync(recipeFile, formatRecipe(recipe));

function hasBegun(run: string): boolean {
  return existsSync(join(run, 'recipe.yaml'));
}

/** What begins a run, or goes on with one that has begun. */
function command(run: string): string[] {
  return [process.execPath, cli, 'train', ...(hasBegun(run) ? ['--resume', run] : [recipeFile, '--run', run])];
}

function finish(run: string): Buffer {
  const [node, ...args] = command(run);
  execFileSync(node, args, { stdio: 'pipe' });
  return readFileSync(join(run, 'final', 'model.safetensors'));
}

/** Runs until some thread makes its `call`-th system call of a set, which kills all; false where none makes so many. */
function kill(run: string, calls: string, call: number): boolean {
  const inject = `inject=${calls}:signal=SIGKILL:when=${call}`;
  const strace = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', inject];
  return spawnSync('strace', [...strace, ...command(run)], { stdio: 'ignore' }).signal === 'SIGKILL';
}

/** How many system calls of a set one thread of a run makes, of the thread that makes most. */
function callsOfRun(calls: string): number {
  const log = join(folder, 'calls');
  const run = join(folder, 'counted');
  execFileSync('strace', ['-f', '-qq', '-o', log, '-e', `trace=${calls}`, ...command(run)], { stdio: 'ignore' });
  const counts = new Map<string, number>();
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const thread = line.slice(0, line.indexOf(' '));
    counts.set(thread, (counts.get(thread) ?? 0) + 1);
  }
  rmSync(run, { recursive: true });
  return Math.max(...counts.values());
}

const { isa, threads } = native.cpu();
console.log(`kernels for ${isa}, ${threads} threads`);
const expected = finish(join(folder, 'first'));
let same = 1;
for (let i = 1; i < runs; i++) if (finish(join(folder, `run-${i}`)).equals(expected)) same++;
console.log(`${same} of ${runs} runs end with the weights of the first`);

/** All but waiting, of which there is more or less each time; and what changes files. */
const sets = ['!futex', 'openat,write,pwrite64,fsync,ftruncate,rename,mkdir,unlink,unlinkat,rmdir'];
const most = sets.map(callsOfRun);
const random = Random.of(seed, 'kills');
let [killed, resumed, early] = [0, 0, 0];
for (let i = 0; killed < kills; i++) {
  const set = i % sets.length;
  const run = join(folder, `killed-${i}`);
  if (!kill(run, sets[set], 1 + random.below(most[set]))) continue;
  // Most of the calls are the program's start, where there is no run yet to go on with.
  if (!hasBegun(run)) {
    early++;
    continue;
  }
  killed++;
  if (finish(run).equals(expected)) resumed++;
  else console.log(`kill ${killed} ends with other weights`);
}
console.log(
  `${resumed} of ${kills} killed ones too, when they are resumed; ${early} more were killed before they had begun`,
);
process.exitCode = same === runs && resumed === kills ? 0 : 1;
