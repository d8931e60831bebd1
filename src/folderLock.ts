import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { UserError } from './errors.ts';
import { createFileWhole } from './files.ts';

/** Who has a folder. A process number alone would say little: numbers are given again, and every machine has its own. */
const ownerSchema = z.object({
  host: z.string(),
  /** Of the host, since it was started last; empty where the system does not tell. */
  boot: z.string(),
  process: z.int().positive(),
  /** When the process began, as the system tells it. */
  start: z.string(),
});
type Owner = z.infer<typeof ownerSchema>;

const isLinux = existsSync('/proc/self/stat');

/**
 * Claims a folder for this process, so that no two write in it. A claim whose process is gone is void; that of another
 * host, which shares the folder, stands.
 * @returns how to give it back
 * @throws UserError if another process has it, or this one has already.
 */
export function lockFolder(path: string): () => void {
  const file = join(path, 'lock');
  claim(file, path, {
    host: hostname(),
    boot: bootOf(),
    process: process.pid,
    start: startOf(process.pid) ?? '',
  });
  // Left by a process that was killed while it cleared a void claim: nobody can clear this one.
  for (let left = `${file}.void`; existsSync(left); left += '.void') rmSync(left, { force: true });
  return () => rmSync(file, { force: true });
}

/**
 * Puts `self` into a lock file, in the place of a void one. Of several processes that find it void, only one may delete it:
 * the others would delete what that one puts there. Who that is, is a claim like this one.
 */
function claim(file: string, path: string, self: Owner): void {
  while (!createFileWhole(file, `${JSON.stringify(self)}\n`)) {
    if (!isVoid(file, path, self)) continue;
    const clearing = `${file}.void`;
    claim(clearing, path, self);
    try {
      if (isVoid(file, path, self)) rmSync(file);
    } finally {
      rmSync(clearing, { force: true });
    }
  }
}

/** Whether a process has the folder, here or on another host. */
export function isInUse(path: string): boolean {
  const owner = readOwner(join(path, 'lock'));
  return owner !== 'gone' && owner !== undefined && (owner.host !== hostname() || isHeld(owner));
}

/**
 * Whether there is a claim that nobody holds: one that is gone meanwhile may be followed by another at any moment.
 * @throws UserError if a process holds it.
 */
function isVoid(file: string, path: string, self: Owner): boolean {
  const owner = readOwner(file);
  if (owner === 'gone') return false;
  if (!owner) return true;
  if (owner.host !== self.host) {
    throw new UserError(
      `${path} is in use by process ${owner.process} on ${owner.host}; if that is gone, delete ${file}`,
    );
  }
  if (isHeld(owner)) {
    throw new UserError(`${path} is in use by process ${owner.process}: wait for its end, or stop it`);
  }
  return true;
}

/** Whether the process on this host that made a claim still runs. */
function isHeld({ boot, process, start }: Owner): boolean {
  return boot === bootOf() && isRunning(process) && (startOf(process) ?? start) === start;
}

/** Of this host, since it was started last; empty where the system does not tell. */
function bootOf(): string {
  return isLinux ? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() : '';
}

/** Nobody, where the file is no whole lock, which nobody can hold. */
function readOwner(file: string): Owner | 'gone' | undefined {
  try {
    return ownerSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return 'gone';
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}

/** Whether a process with this number runs: not one that has ended and whose parent has not asked for its end yet. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return !/^[ZX]/.test(statusOf(pid) ?? '');
}

/** When a process began: no two that ever had its number have the same. Undefined where this user may not see it. */
function startOf(pid: number): string | undefined {
  if (isLinux) return statusOf(pid)?.split(' ')[19];
  try {
    const environment = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', env: environment }).trim();
  } catch {
    return undefined;
  }
}

/** The fields of `/proc/<pid>/stat` behind the name, which may hold anything: the state is the first. */
function statusOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2);
  } catch {
    return undefined;
  }
}
