import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from './errors.ts';

/**
 * Claims a folder for this process, so that no two write in it. A claim whose process is gone is void.
 * @returns how to give it back
 * @throws UserError if another process has it.
 */
export function lockFolder(path: string): () => void {
  const file = join(path, 'lock');
  if (existsSync(file)) {
    const owner = Number(readFileSync(file, 'utf8'));
    if (isRunning(owner))
      throw new UserError(`${path} is in use by process ${owner}; if that is no run of sod, delete ${file}`);
    rmSync(file, { force: true });
  }
  writeFileSync(file, String(process.pid), { flag: 'wx' });
  return () => rmSync(file, { force: true });
}

/** Whether another process with this number runs. */
export function isRunning(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
