import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeSmallModels } from '../bench/smallSodRun.ts';
import { lockFolder } from '../src/folderLock.ts';

/** The models of small runs, which take seconds to make. */
export async function smallModels(): Promise<{ student: string; teacher: string }> {
  const folder = await madeOnce('small-models', writeSmallModels);
  return { student: join(folder, 'student'), teacher: join(folder, 'teacher') };
}

/** A folder that all tests of one run share: the first that needs it makes it, and nobody may change what is in it. */
async function madeOnce(name: string, make: (folder: string) => Promise<unknown>): Promise<string> {
  const folder = join(tmpdir(), 'made-once', name);
  const workshop = `${folder}.workshop`;
  mkdirSync(workshop, { recursive: true });
  while (!existsSync(folder)) {
    const leave = enter(workshop);
    if (!leave) {
      await sleep(100);
      continue;
    }
    try {
      const draft = join(workshop, 'draft');
      if (existsSync(folder)) break;
      await make(draft);
      renameSync(draft, folder);
    } finally {
      leave();
    }
  }
  return folder;
}

/** Undefined while another process is in there. */
function enter(workshop: string): (() => void) | undefined {
  try {
    return lockFolder(workshop);
  } catch (error) {
    if (/ is in use by /.test((error as Error).message)) return undefined;
    throw error;
  }
}
