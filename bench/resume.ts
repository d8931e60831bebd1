/**
 * Whether what a command leaves is the same whatever happens to it: `npm run bench:resume`. Small runs of `train`, also with
 * rollouts ahead, `eval` and `compare` are made undisturbed, then killed at random system calls and given again; counted is how
 * often every file that they leave, weights, checkpoints, samples and tables, comes out bit for bit. Every second kill is at one
 * of the system calls that change files. No peer takes part; `SOD_KERNELS` names other kernels than the machine's.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { Argument, Command } from 'commander';
import { Random } from '../src/random.ts';
import { native } from '../src/tensor/cpu/native.ts';
import { contentOf, outFolder, type SmallCommand, smallCommands, writeSmallInputs } from './smallCommands.ts';

const program = new Command('bench:resume')
  .description('How many runs of a command, undisturbed or killed and given again, leave the same files.')
  .addArgument(new Argument('[commands...]', 'default: all').choices(Object.keys(smallCommands)))
  .option('--runs <count>', 'undisturbed ones of each command', Number, 10)
  .option('--kills <count>', 'killed ones of all commands together', Number, 200)
  .option('--seed <number>', 'of the moments of the kills', Number, 1)
  .parse();
const { runs, kills, seed } = program.opts<{ runs: number; kills: number; seed: number }>();
if (spawnSync('strace', ['-V']).error) program.error('strace is needed: apt-get install strace');

const root = mkdtempSync(join(tmpdir(), 'sod-bench-resume-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));
const inputs = join(root, 'inputs');
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));

/** All but waiting, of which there is more or less each time; and what changes files. */
const sets = ['!futex', 'openat,write,pwrite64,fsync,ftruncate,rename,link,mkdir,unlink,unlinkat,rmdir'];

/** A folder of its own to give a command in. */
function freshFolder(name: string): string {
  const folder = join(root, name);
  cpSync(inputs, folder, { recursive: true });
  return folder;
}

function commandLine(command: SmallCommand, folder: string): string[] {
  return [process.execPath, cli, ...smallCommands[command](folder)];
}

/** What a command leaves, given to its end; it says what is wrong if it fails. */
function finish(command: SmallCommand, folder: string): Record<string, string> {
  const [node, ...args] = commandLine(command, folder);
  execFileSync(node, args, { cwd: folder, stdio: 'pipe' });
  const content = contentOf(folder);
  rmSync(folder, { recursive: true });
  return content;
}

/** A moment to be killed at: some thread's so many-th system call of that name. */
interface Moment {
  call: string;
  count: number;
}

/** Runs until that moment, which kills all; false where no thread makes so many. */
function kill(command: SmallCommand, folder: string, { call, count }: Moment): boolean {
  const inject = `inject=${call}:signal=SIGKILL:when=${count}`;
  const strace = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', inject];
  const { signal } = spawnSync('strace', [...strace, ...commandLine(command, folder)], {
    cwd: folder,
    stdio: 'ignore',
  });
  return signal === 'SIGKILL';
}

/** The moments of a command at calls of a set from when it has a folder to leave something in: none that a thread has before. */
function momentsOf(command: SmallCommand, calls: string): Moment[] {
  const log = join(root, 'calls');
  const folder = freshFolder('counted');
  const strace = ['-f', '-qq', '-o', log, '-e', `trace=${calls}`];
  execFileSync('strace', [...strace, ...commandLine(command, folder)], { cwd: folder, stdio: 'ignore' });
  const lines = readFileSync(log, 'utf8').split('\n');
  rmSync(folder, { recursive: true });

  const made = new Map<string, number>();
  const most = new Map<string, number>();
  const moments: Moment[] = [];
  let hasBegun = false;
  for (const line of lines) {
    const [, thread, call] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    if (!call) continue;
    const count = (made.get(thread + call) ?? 0) + 1;
    made.set(thread + call, count);
    if (!hasBegun) most.set(call, Math.max(most.get(call) ?? 0, count));
    else if (count > (most.get(call) ?? 0)) moments.push({ call, count });
    hasBegun ||= new RegExp(`\\bmkdir(at)?\\(.*\\b${outFolder}"`).test(line);
  }
  return moments;
}

/** Whether the killed command, given again, leaves what is expected; what does not is told. */
function recovers(command: SmallCommand, folder: string, expected: Record<string, string>): boolean {
  try {
    const content = finish(command, folder);
    if (isDeepStrictEqual(content, expected)) return true;
    const names = new Set([...Object.keys(content), ...Object.keys(expected)]);
    const other = [...names].filter(name => content[name] !== expected[name]);
    console.log(`${command}: killed, it leaves other files: ${other.slice(0, 5).join(', ')}`);
  } catch (error) {
    console.log(`${command}: killed, it fails: ${(error as Error).message}`);
  }
  return false;
}

/** Makes a command undisturbed, then kills it so many times. @returns whether the same files were left each time */
function measure(command: SmallCommand, kills: number): boolean {
  const expected = finish(command, freshFolder(`${command}-first`));
  let same = 1;
  for (let i = 1; i < runs; i++) {
    if (isDeepStrictEqual(finish(command, freshFolder(`${command}-${i}`)), expected)) same++;
  }
  console.log(`${command}: ${same} of ${runs} undisturbed runs leave the files of the first`);

  const moments = sets.map(calls => momentsOf(command, calls));
  const random = Random.of(seed, 'kills', command);
  let [killed, recovered, early] = [0, 0, 0];
  for (let i = 0; killed < kills; i++) {
    const folder = freshFolder(`${command}-killed-${i}`);
    const isKilled = kill(command, folder, random.pick(moments[i % sets.length]));
    // Another thread may have made as many calls while the program started, when nothing is there yet that could be damaged.
    const hasBegun = existsSync(join(folder, outFolder));
    if (isKilled && hasBegun) {
      killed++;
      if (recovers(command, folder, expected)) recovered++;
      if (killed % 10 === 0) console.error(`${command}: ${killed} of ${kills} killed, ${recovered} recovered`);
    } else if (isKilled) early++;
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(
    `${command}: ${recovered} of ${kills} killed ones too, when they are given again; ` +
      `${early} more were killed before they had begun`,
  );
  return same === runs && recovered === kills;
}

const { isa, threads } = native().cpu();
console.log(`kernels for ${isa}, ${threads} threads`);
await writeSmallInputs(inputs);
const commands = (program.args.length > 0 ? program.args : Object.keys(smallCommands)) as SmallCommand[];
const shares = commands.map((_, i) => Math.floor((kills + i) / commands.length));
const isSame = commands.map((command, i) => measure(command, shares[i]));
process.exitCode = isSame.every(Boolean) ? 0 : 1;
