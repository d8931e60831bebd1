import { closeSync, mkdtempSync, openSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readJson, readText, readYaml } from '../src/documents.ts';
import { UserError } from '../src/errors.ts';
import { refuseFullDisk, writeFileWhole } from '../src/files.ts';
import { explained, SystemRefusal } from '../src/systemErrors.ts';

const folder = mkdtempSync(join(tmpdir(), 'sod-system-'));
const here = (name: string) => join(folder, name);

describe('what the system refuses', () => {
  it.each([
    ['ENOENT', /no such file or folder; check the path/],
    ['EACCES', /no permission; change its owner or mode/],
    ['EROFS', /can only be read; choose a path on another/],
    ['ENOSPC', /the disk is full; make room/],
    ['EDQUOT', /make room/],
    ['EMFILE', /too many files are open in this process; raise the limit \(ulimit -n\)/],
  ])('%s is told with the path and a remedy', (code, message) => {
    const error = Object.assign(new Error(`${code}: something, write`), { code, syscall: 'write' });
    const told = explained(error, 'runs/mine') as Error;
    expect(told).toBeInstanceOf(UserError);
    expect(told.message).toMatch(/^runs\/mine: /);
    expect(told.message).toMatch(message);
  });

  it('names the path that the system named, but no temporary one', () => {
    const error = (path: string) => Object.assign(new Error('EACCES'), { code: 'EACCES', path });
    expect((explained(error('/elsewhere'), 'a.json') as Error).message).toMatch(/^\/elsewhere: /);
    expect((explained(error('a.json.1234.tmp'), 'a.json') as Error).message).toMatch(/^a\.json: /);
  });

  it.each([
    ['EACCES', true],
    ['ENOSPC', true],
    ['EMFILE', true],
    ['ENOENT', false],
    ['EISDIR', false],
    ['EIO', false],
  ])('%s says of a file that it may be whole: %s', (code, mayBeWhole) => {
    expect(explained(Object.assign(new Error(code), { code })) instanceof SystemRefusal).toBe(mayBeWhole);
  });

  it('is no excuse for a mistake of the program', () => {
    const mistake = Object.assign(new Error('EBADF'), { code: 'EBADF', syscall: 'write' });
    expect(explained(mistake, 'a.json')).toBe(mistake);
    expect(explained(new TypeError('x'))).toBeInstanceOf(TypeError);
  });

  it('leaves nothing half-written, on a full disk too', () => {
    const full = openSync('/dev/full', 'w');
    expect(() => writeFileWhole(here('a.json'), () => writeSync(full, 'x'))).toThrow(
      `${here('a.json')}: the disk is full`,
    );
    closeSync(full);
    writeFileSync(here('file'), '');
    expect(() => writeFileWhole(here('file/a.json'), 'x')).toThrow(
      `${here('file/a.json')}: a part of the path is a file`,
    );
    expect(readdirSync(folder)).toEqual(['file']);
  });
});

describe('files that are read as a whole', () => {
  it.each([
    [folder, 'it is a folder, where a file is wanted'],
    ['/dev/zero', 'it is a pipe or a device, where a file is wanted'],
    [here('nowhere'), 'no such file or folder'],
    ['a\0b', 'a path has no null bytes'],
    ['x'.repeat(5000), 'the path is too long'],
  ])('are files: %s', (path, message) => {
    expect(() => readText(path)).toThrow(UserError);
    expect(() => readText(path)).toThrow(message);
  });

  it('are JSON or YAML where that is wanted', () => {
    writeFileSync(here('text'), '{ "a": [1, 2\n');
    expect(() => readJson(here('text'))).toThrow(/text: not valid JSON: [^\n]+$/);
    expect(() => readYaml(here('text'))).toThrow(/text: not valid YAML: [^\n]+$/);
    writeFileSync(here('deep'), '['.repeat(100_000));
    expect(() => readJson(here('deep'))).toThrow(UserError);
    expect(() => readYaml(here('deep'))).toThrow(UserError);
  });
});

it('what no disk has room for is refused before it is begun', () => {
  refuseFullDisk(here('a/b/c'), 1);
  expect(() => refuseFullDisk(here('a/b/c'), 2 ** 60)).toThrow(/c would have 1\.0 EiB, and its disk has room for /);
});
