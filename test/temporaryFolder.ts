import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Gives all test files one temporary folder, and removes it with whatever they left there. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), 'sod-tests-'));
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
