import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning } from '../folderLock.ts';
import { fileSize } from './cache.ts';
import type { Hub } from './source.ts';

/** This process, in the name of what it is downloading. */
const self = `${process.pid}-${randomUUID().slice(0, 8)}`;

/**
 * Has `work` complete the part of a blob that was downloaded so far and rename it to the blob. While it works, the part
 * is named `<blob>.<process>.incomplete`, otherwise `<blob>.incomplete`: whoever renames it has it, and what a process
 * that was killed left is anyone's. If another process is at it, waits; there is no work if that process completes it.
 */
export async function withPart(hub: Hub, blob: string, work: (part: string) => Promise<void>): Promise<void> {
  const part = await claim(hub, blob);
  if (!part) return;
  try {
    await work(part);
  } finally {
    const bytes = fileSize(part);
    if (bytes) renameSync(part, `${blob}.incomplete`);
    else rmSync(part, { force: true });
  }
}

async function claim({ onNotice, signal }: Hub, blob: string): Promise<string | undefined> {
  const mine = `${blob}.${self}.incomplete`;
  for (let isTold = false; !existsSync(blob); await sleep(200, undefined, { signal })) {
    const parts = partsOf(blob);
    const busy = parts.find(({ process }) => process !== undefined && isAtWork(process));
    if (busy) {
      if (!isTold && busy.process !== self) {
        const hint = `if process ${pidOf(busy.process!)} is none of sod, delete ${busy.path}`;
        onNotice?.(`waiting for another process that is downloading the same file; ${hint}`);
        isTold = true;
      }
      continue;
    }
    try {
      if (parts.length) renameSync(parts[0].path, mine);
      else closeSync(openSync(mine, 'wx'));
      return mine;
    } catch (error) {
      // Another process was faster.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return undefined;
}

/** What there is of a blob, and the processes that have it. */
function partsOf(blob: string): { path: string; process?: string }[] {
  const pattern = new RegExp(`^${basename(blob)}(?:\\.(\\d+-[0-9a-f]{8}))?\\.incomplete$`);
  return readdirSync(dirname(blob)).flatMap(name => {
    const match = pattern.exec(name);
    return match ? [{ path: join(dirname(blob), name), process: match[1] }] : [];
  });
}

/** A name with this process's id that is not its own is of one before it, as in a container that was started again. */
function isAtWork(name: string): boolean {
  const pid = pidOf(name);
  if (pid === process.pid) return name === self;
  return isRunning(pid);
}

function pidOf(name: string): number {
  return Number.parseInt(name, 10);
}
