import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { filesOf, TestHub } from '../hub/server.ts';
import { smallModels } from '../madeOnce.ts';

const folder = temporaryFolder(afterAll);
const hub = new TestHub();
beforeAll(async () => {
  await hub.start();
  hub.commit('models/org/small', filesOf((await smallModels()).student));
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

test('what sod serve refuses is refused before anything is downloaded', async () => {
  hub.requests.length = 0;
  const env = { ...process.env, HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: join(folder, 'serve'), HF_HUB_OFFLINE: '' };
  const serve = (...args: string[]) => promisify(execFile)(process.execPath, [cli, 'serve', ...args], { env });
  await expect(serve('hf:org/small', 'hf:org/small')).rejects.toThrow(/serves one model, not also hf:org\/small/);
  await expect(serve('hf:org/small', '--tinker', '--name', 'mine')).rejects.toThrow(/not of --tinker/);
  expect(hub.requests).toEqual([]);
});
