import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pinnedToolsFile, pinTools } from '../../src/train/pinnedTools.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const tool = (name: string, description = '', parameters = {}) => ({ name, description, parameters });

test('a run goes on with the tools that it began with, and no others', () => {
  const run = temporaryFolder();
  const offered = [{ server: 'office', tools: [tool('manager', 'Whom'), tool('room')] }];
  pinTools(run, offered);
  const kept = readFileSync(join(run, pinnedToolsFile), 'utf8');
  pinTools(run, structuredClone(offered));

  const others = (...tools: ReturnType<typeof tool>[]) => [{ server: 'office', tools }];
  const refused = (tools: Parameters<typeof pinTools>[1]) => expect(() => pinTools(run, tools));
  refused(others(tool('manager', 'Who'), tool('desk'))).toThrow(
    /: the description of manager of office changed from "Whom" to "Who"; room of office is gone; desk of office is new\. /,
  );
  refused(others(tool('manager', 'Whom'), tool('room', '', { type: 'object' }))).toThrow('the parameters of room');
  refused(others(tool('room'), tool('manager', 'Whom'))).toThrow('in another order');
  refused([]).toThrow('manager of office is gone');
  expect(readFileSync(join(run, pinnedToolsFile), 'utf8')).toBe(kept);
});

test('a run without servers keeps nothing', () => {
  const run = temporaryFolder();
  pinTools(run, []);
  expect(() => readFileSync(join(run, pinnedToolsFile))).toThrow('ENOENT');
});
