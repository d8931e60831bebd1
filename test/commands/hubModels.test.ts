import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { TestHub } from '../hub/server.ts';
import { smallModels } from '../madeOnce.ts';

const folder = temporaryFolder(afterAll);
const hub = new TestHub();
beforeAll(async () => {
  await hub.start();
  const { student } = await smallModels();
  const file = (path: string) => ({ content: readFileSync(join(student, path)), isLarge: path.endsWith('s') });
  hub.commit('models/org/small', Object.fromEntries(readdirSync(student).map(path => [path, file(path)])));
});
afterAll(() => hub.close());

test.each([
  [['export', 'hf:org/small', '--out', join(folder, 'small.gguf')], /^small as f32: \S+small\.gguf$/m],
  [['chat', 'hf:org/small'], /^Ctrl-C stops an answer; /],
])('a model is named as it is on the Hub: sod %j', async (command, said) => {
  const env = { ...process.env, HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(folder, command[0]), HF_HUB_OFFLINE: '' };
  const running = promisify(execFile)(process.execPath, [cli, ...command], { env });
  running.child.stdin!.end('/exit\n');
  const { stdout, stderr } = await running;
  expect(stdout).toMatch(said);
  expect(stderr).toMatch(/^downloading model\.safetensors, MB/m);
});
