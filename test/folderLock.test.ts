import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { UserError } from '../src/errors.ts';
import { lockFolder } from '../src/folderLock.ts';

const newFolder = () => mkdtempSync(join(tmpdir(), 'sod-lock-'));
const lockOf = (folder: string) => join(folder, 'lock');

/** What this process writes into a lock. */
function ownLock(): Record<string, unknown> {
  const folder = newFolder();
  const unlock = lockFolder(folder);
  const content = readFileSync(lockOf(folder), 'utf8');
  unlock();
  return JSON.parse(content);
}

test('a folder is claimed once, and again when it was given back', () => {
  const folder = newFolder();
  const unlock = lockFolder(folder);
  expect(() => lockFolder(folder)).toThrow(UserError);
  expect(() => lockFolder(folder)).toThrow(`${folder} is in use by process ${process.pid}`);
  unlock();
  expect(readdirSync(folder)).toEqual([]);
  lockFolder(folder)();
});

test('a claim holds host, boot, process and its start', () => {
  const lock = ownLock();
  expect(lock).toEqual({
    host: expect.stringMatching(/./),
    boot: expect.any(String),
    process: process.pid,
    start: expect.stringMatching(/\d/),
  });
});

test.each<[string, string | Record<string, unknown>]>([
  ['left empty by a full disk or a kill', ''],
  ['half written', '{"host":"here","bo'],
  ['of no process', '0'],
  ['of a process that is gone', { process: 999_999_999 }],
  ['of a process whose number is another one now', { process: process.ppid }],
  ['of the time before the machine was started', { boot: 'another' }],
])('a claim is void that is %s', (_, changed) => {
  const folder = newFolder();
  writeFileSync(lockOf(folder), typeof changed === 'string' ? changed : JSON.stringify({ ...ownLock(), ...changed }));
  const unlock = lockFolder(folder);
  expect(JSON.parse(readFileSync(lockOf(folder), 'utf8'))).toEqual(ownLock());
  unlock();
  expect(readdirSync(folder)).toEqual([]);
});

test('nothing stays of a process that was killed while it cleared a void claim', () => {
  const folder = newFolder();
  for (const left of ['.void', '.void.void']) {
    writeFileSync(`${lockOf(folder)}${left}`, JSON.stringify({ ...ownLock(), process: 999_999_999 }));
  }
  lockFolder(folder)();
  expect(readdirSync(folder)).toEqual([]);
});

test('the claim of a process stands until it ends, be it that nobody has asked for its end', async () => {
  const folder = newFolder();
  const child = spawn(process.execPath, ['--import', 'tsx', '-e', claimingProgram(folder)]);
  await new Promise(resolve => child.stdout.once('data', resolve));
  expect(() => lockFolder(folder)).toThrow(`in use by process ${child.pid}: wait for its end, or stop it`);
  // Without a turn of the event loop nobody asks for the child's end: it stays a zombie.
  process.kill(child.pid!, 'SIGKILL');
  for (let waited = 0; waited < 5000 && isClaimed(folder); waited += 20) spawnSync('sleep', ['0.02']);
  expect(isClaimed(folder)).toBe(false);
});

function claimingProgram(folder: string): string {
  const module = fileURLToPath(new URL('../src/folderLock.ts', import.meta.url));
  return `import(${JSON.stringify(module)}).then(({ lockFolder }) => {
    lockFolder(${JSON.stringify(folder)});
    console.log('claimed');
    setInterval(() => {}, 1000);
  })`;
}

function isClaimed(folder: string): boolean {
  try {
    lockFolder(folder)();
    return false;
  } catch {
    return true;
  }
}

test('the claim of another host stands, and is named', () => {
  const folder = newFolder();
  writeFileSync(lockOf(folder), JSON.stringify({ ...ownLock(), host: 'elsewhere', process: 7 }));
  expect(() => lockFolder(folder)).toThrow(
    `${folder} is in use by process 7 on elsewhere; if that is gone, delete ${lockOf(folder)}`,
  );
  expect(existsSync(lockOf(folder))).toBe(true);
});

test('a void claim goes to one of many processes that find it at the same time', async () => {
  const folder = newFolder();
  const program = fileURLToPath(new URL('./lockContest.ts', import.meta.url));
  const contestants = Array.from({ length: 3 }, () => spawn(process.execPath, ['--import', 'tsx', program, folder]));
  const ends = await Promise.all(
    contestants.map(async child => {
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', data => {
        stdout += data;
      });
      child.stderr.on('data', data => {
        stderr += data;
      });
      const code = await new Promise(resolve => child.on('close', resolve));
      return { code, stderr, won: Number(stdout) };
    }),
  );
  for (const { code, stderr, won } of ends) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(won).toBeGreaterThan(0);
  }
}, 60_000);
