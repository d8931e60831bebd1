import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Compiles what is new, installs the browser, gives all test files one temporary folder, and removes it with whatever they left there. */
export default function setup(): () => Promise<void> {
  execFileSync('bash', [fileURLToPath(new URL('../setup.sh', import.meta.url)), '--tests'], {
    stdio: ['ignore', 2, 2],
  });
  const folder = mkdtempSync(join(tmpdir(), 'sod-tests-'));
  process.env.TMPDIR = folder;
  return () => rm(folder, { recursive: true, force: true });
}
