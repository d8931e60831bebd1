import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { cli } from '../cli.ts';

const model = fileURLToPath(new URL('../vectors/qwen3-tiny-tied', import.meta.url));
const recipe = fileURLToPath(new URL('../../recipes/demo/teacher-sft.yaml', import.meta.url));
/** The folder of the other tests is closed to others. */
const folder = mkdtempSync('/tmp/sod-system-');
chmodSync(folder, 0o755);
afterAll(() => rmSync(folder, { recursive: true }));

/** Nothing is forbidden to root, who becomes nobody, if nobody can read the program. */
const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
const isReadable = spawnSync('test', ['-r', cli], user).status === 0;

const temporary = join(folder, 'tmp');
mkdirSync(temporary);
chmodSync(temporary, 0o777);

/** What `sod` says, run by a shell after `before`. */
function sod(args: string[], { before = ':', after = '' } = {}) {
  const command = [process.execPath, cli, ...args].map(arg => `'${arg}'`).join(' ');
  const { status, stderr } = spawnSync('sh', ['-c', `${before}; ${command} ${after}`], {
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: temporary },
    ...user,
  });
  return { status, stderr };
}

function folderWithMode(name: string, mode: number): string {
  const path = join(folder, name);
  mkdirSync(path);
  cpSync(model, join(path, 'model'), { recursive: true });
  chmodSync(path, mode);
  return path;
}

test.skipIf(!isReadable)('what may not be written or read is named, with what to do', () => {
  const locked = folderWithMode('locked', 0o555);
  const permission = 'no permission; change its owner or mode, or choose another path\n';
  expect(sod(['card', join(locked, 'model'), '--out', join(locked, 'card.md')])).toEqual({
    status: 1,
    stderr: `${join(locked, 'card.md')}: ${permission}`,
  });
  expect(readdirSync(locked)).toEqual(['model']);

  const hidden = join(folderWithMode('hidden', 0o755), 'model');
  chmodSync(join(hidden, 'config.json'), 0);
  expect(sod(['card', hidden]).stderr).toBe(`${join(hidden, 'config.json')}: ${permission}`);
});

test.skipIf(!isReadable)('a full disk is named, of a file and of the output', () => {
  const place = folderWithMode('place', 0o777);
  const small = sod(['card', join(place, 'model'), '--out', join(place, 'card.md')], { before: 'ulimit -f 0' });
  expect(small.status).toBe(1);
  expect(small.stderr).toContain('card.md: the file would be larger than its disk or the limit of this shell');
  expect(readdirSync(place)).toEqual(['model']);
  expect(sod(['train', recipe, '--dry-run'], { after: '> /dev/full' })).toEqual({
    status: 1,
    stderr: 'standard output: the disk is full; make room, or choose a path on another\n',
  });
});
