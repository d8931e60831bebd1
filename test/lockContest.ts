/**
 * Claims a folder again and again beside others that do the same, leaves a void claim each time, and checks that it is alone
 * while it has the folder. Prints how often it had it.
 */
import { closeSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../src/errors.ts';
import { lockFolder } from '../src/folderLock.ts';

const folder = process.argv[2];
const lock = join(folder, 'lock');
const alone = join(folder, 'alone');
const voided = join(folder, `voided-${process.pid}`);

/** Long enough for another, who found the claim void too, to come in between. */
const holdMs = 5;

let won = 0;
const end = performance.now() + 1500;
while (performance.now() < end) {
  try {
    lockFolder(folder);
  } catch (error) {
    if (error instanceof UserError) continue;
    throw error;
  }
  closeSync(openSync(alone, 'wx'));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, holdMs);
  rmSync(alone);
  won++;
  writeFileSync(voided, 'void');
  renameSync(voided, lock);
}
console.log(won);
