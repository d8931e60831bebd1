import fs, { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFileWhole } from '../src/files.ts';

let linked = 0;
const { linkSync } = fs;
beforeEach(() => {
  /** As on FAT. */
  fs.linkSync = () => {
    linked++;
    throw Object.assign(new Error('operation not permitted'), { code: 'EPERM' });
  };
  syncBuiltinESMExports();
});
afterEach(() => {
  fs.linkSync = linkSync;
  syncBuiltinESMExports();
});

test('where files have no second names, a file is still created once, with its content', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sod-files-'));
  const file = join(folder, 'file');
  expect(createFileWhole(file, 'first')).toBe(true);
  expect(createFileWhole(file, 'second')).toBe(false);
  expect(linked).toBe(2);
  expect(readFileSync(file, 'utf8')).toBe('first');
  expect(readdirSync(folder)).toEqual(['file']);
});
