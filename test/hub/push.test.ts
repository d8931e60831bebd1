import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { modelFiles } from '../../src/checkpoint/publicFiles.ts';
import { UserError } from '../../src/errors.ts';
import { type PushControl, type PushRequest, push } from '../../src/hub/push.ts';
import { cli } from '../cli.ts';
import { sha256 } from './server.ts';
import { UploadHub } from './uploadServer.ts';

const name = 'org/model';
let hub: UploadHub;
let folder: string;

beforeEach(async () => {
  hub = await new UploadHub().start();
  for (const variable of ['HUGGING_FACE_HUB_TOKEN', 'HF_HUB_OFFLINE', 'HF_TOKEN_PATH']) vi.stubEnv(variable, '');
  vi.stubEnv('HF_HOME', newFolder());
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_TOKEN', hub.token);
  folder = newFolder();
  for (const [path, content] of Object.entries(model)) writeFileSync(join(folder, path), content);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
});

const newFolder = () => mkdtempSync(join(tmpdir(), 'sod-push-'));

/** Bytes that repeat nowhere. */
function bytes(length: number): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4)).map((_, i) => Math.imul(i, 2654435761));
  return Buffer.from(words.buffer, 0, length);
}

const model: Record<string, Buffer> = {
  'README.md': Buffer.from('# Model\nÄ ☃\n'),
  'config.json': Buffer.from('{}'),
  // Above 10 MB, hashes are made from a stream.
  'model-00001-of-00002.safetensors': bytes(11_000_003),
  'model-00002-of-00002.safetensors': bytes(70_001),
  'merges.txt': Buffer.alloc(0),
};

/** Contents by their hashes: element by element, megabytes take minutes to compare. */
const digests = (files: Record<string, Buffer>) =>
  Object.fromEntries(Object.entries(files).map(([path, content]) => [path, sha256(content)]));

const pushed = (request: Partial<PushRequest> = {}, control?: PushControl) =>
  push({ name, folder, files: modelFiles(folder).files, ...request }, control);

describe('what arrives', () => {
  test('is the folder, byte for byte, and the token goes to the Hub alone', async () => {
    writeFileSync(join(folder, 'optimizer.safetensors'), 'state');
    const progress: number[] = [];
    const { url } = await pushed({ message: 'First' }, { onProgress: sent => progress.push(sent) });
    expect(digests(hub.files(name))).toEqual(digests(model));
    expect(hub.repositories.get(name)).toMatchObject({ private: false, messages: ['First'] });
    expect(url).toMatch(`${hub.endpoint}/org/model/commit/`);
    for (const { host, authorization } of hub.requests) {
      expect(authorization).toBe(host === 'hub' ? `Bearer ${hub.token}` : undefined);
    }
    expect(hub.requests.filter(({ host }) => host === 'storage')).toHaveLength(2);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress.at(-1)).toBe(Object.values(model).reduce((sum, { length }) => sum + length, 0));
    expect(progress.length).toBeGreaterThan(10);
  });

  test('is the same in parts, and large files that are there are not sent again', async () => {
    hub.partBytes = 4_000_000;
    await pushed();
    expect(digests(hub.files(name))).toEqual(digests(model));
    expect(hub.requests.filter(({ path }) => path.includes('part='))).toHaveLength(4);
    hub.requests.splice(0);
    writeFileSync(join(folder, 'config.json'), '{"changed": true}');
    await pushed();
    expect(hub.requests.filter(({ host }) => host === 'storage')).toEqual([]);
    expect(hub.files(name)['config.json'].toString()).toBe('{"changed": true}');
  });

  test('can go to a branch, which is made, and to a private repository', async () => {
    await pushed({ isPrivate: true, revision: 'trial' });
    expect(hub.repositories.get(name)!.private).toBe(true);
    expect(hub.files(name)).toEqual({});
    expect(digests(hub.files(name, 'trial'))).toEqual(digests(model));
    await pushed({ isPrivate: true, revision: 'trial' });
    expect(hub.repositories.get(name)!.messages).toHaveLength(2);
  });

  test('never becomes public against the wish', async () => {
    hub.add(name);
    await expect(pushed({ isPrivate: true })).rejects.toThrow(`${hub.endpoint}/org/model is there already and public`);
    expect(hub.requests.filter(({ method }) => method === 'POST')).toEqual([]);
  });
});

test('only what belongs to the model is for others', () => {
  const others = ['.env', 'notes.txt', 'metrics.jsonl', 'optimizer.safetensors', 'trainer.json', 'progress.json'];
  for (const path of [...others, 'trajectories.jsonl', 'model.safetensors.1.tmp'])
    writeFileSync(join(folder, path), '');
  mkdirSync(join(folder, 'trajectories'));
  writeFileSync(join(folder, 'LICENSE'), 'MIT');
  const { files, leftOut } = modelFiles(folder);
  expect(files.map(({ path }) => path)).toEqual([...Object.keys(model), 'LICENSE'].sort());
  expect(Object.fromEntries(leftOut.map(({ path, reason }) => [path, reason]))).toEqual({
    '.env': 'temporary or hidden',
    'metrics.jsonl': 'record of the training',
    'model.safetensors.1.tmp': 'temporary or hidden',
    'notes.txt': 'no model file',
    'optimizer.safetensors': 'optimizer state',
    'progress.json': 'record of the training',
    'trainer.json': 'optimizer state',
    trajectories: 'no file',
    'trajectories.jsonl': 'trajectories',
  });
  expect(() => modelFiles(newFolder())).toThrow('holds no model');
});

describe('what goes wrong is told in words, without the token', () => {
  /** The words for a push in which the Hub answers so. */
  async function words(status: number, at: RegExp, error = `no leave for ${hub.token} here`): Promise<string> {
    hub.refuse = (_, path) => (at.test(path) ? { status, error } : undefined);
    const failure = await pushed().catch(error => error);
    expect(failure).toBeInstanceOf(UserError);
    expect(failure.message).toContain(`${new URL(hub.endpoint).host} answered ${status} (no leave for … here)`);
    expect(failure.message).not.toContain(hub.token);
    expect(hub.repositories.get(name)?.messages ?? []).toEqual([]);
    return failure.message;
  }

  test.each([
    [401, /repos\/create/, 'does not know the token in HF_TOKEN'],
    [403, /repos\/create/, 'check that org is your user name or an organization you can write to'],
    [403, /commit/, 'the token in HF_TOKEN may not write to org/model'],
    [404, /preupload/, 'there is no org/model with a branch main for this token'],
    [409, /commit/, 'somebody else wrote to org/model at the same time: run again'],
    [503, /batch/, 'wait, then run again: large files that have arrived are not sent again'],
    [400, /commit/, 'nothing was published. If it is about README.md, mend its front matter'],
  ])('%i at %s', async (status, at, remedy) => {
    expect(await words(status, at)).toContain(remedy);
  });

  test('storage that refuses is named by its host alone, for its addresses are signed', async () => {
    hub.storageStatus = 500;
    const failure = await pushed().catch(error => error);
    expect(failure.message).toMatch(/^127\.0\.0\.1:\d+ answered 500: it may pass; wait, then run again/);
    expect(failure.message).not.toContain(new URL(hub.endpoint).host);
    expect(failure.message).not.toContain('s3cret');
  });

  test('no token, none of the Hub, no network', async () => {
    vi.stubEnv('HF_TOKEN', '');
    await expect(pushed()).rejects.toThrow(
      `a push needs a token: make one with the permission to write at ${hub.endpoint}`,
    );
    vi.stubEnv('HF_TOKEN', 'secret');
    await expect(pushed()).rejects.toThrow(/^HF_TOKEN is no token of the Hub, which begin with hf_(?!.*secret)/);
    vi.stubEnv('HF_TOKEN', hub.token);
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await expect(pushed()).rejects.toThrow('HF_HUB_OFFLINE is set: unset it to push');
    expect(hub.requests).toEqual([]);
    vi.stubEnv('HF_HUB_OFFLINE', '');
    await hub.close();
    await expect(pushed()).rejects.toThrow(/cannot be reached \(ECONNREFUSED\): check the network and HF_ENDPOINT/);
  });
});

test('a push that is stopped publishes nothing', async () => {
  hub.stalls = true;
  const controller = new AbortController();
  const stopped = pushed({}, { signal: controller.signal });
  const failure = expect(stopped).rejects.toMatchObject({ name: 'AbortError' });
  await vi.waitUntil(() => hub.requests.some(({ host }) => host === 'storage'));
  controller.abort();
  await failure;
  expect(hub.repositories.get(name)!.messages).toEqual([]);
});

describe('sod push', () => {
  const tinyModel = fileURLToPath(new URL('../vectors/qwen3-tiny-tied', import.meta.url));

  beforeEach(() => {
    folder = newFolder();
    for (const file of ['config.json', 'model.safetensors']) cpSync(join(tinyModel, file), join(folder, file));
    writeFileSync(join(folder, 'secret.txt'), 'mine');
  });

  function start(...args: string[]) {
    const child = spawn(process.execPath, [cli, 'push', ...args]);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (output += chunk));
    const ended = new Promise<{ status: number | null; output: string }>(resolve => {
      child.on('close', status => resolve({ status, output }));
    });
    return { child, ended };
  }

  test('writes the card first, and publishes it with the model', async () => {
    const { status, output } = await start(name, folder).ended;
    expect(output).toMatch(`Published: ${hub.endpoint}/org/model/commit/`);
    expect(output).not.toContain(hub.token);
    expect(status).toBe(0);
    expect(Object.keys(hub.files(name)).sort()).toEqual(['README.md', 'config.json', 'model.safetensors']);
    for (const [path, content] of Object.entries(hub.files(name)))
      expect(readFileSync(join(folder, path))).toEqual(content);
    expect(hub.files(name)['README.md'].toString()).toContain('from_pretrained("org/model")');
  });

  test('a dry run lists, asks nothing and writes nothing', async () => {
    const { status, output } = await start(name, folder, '--dry-run').ended;
    expect(status).toBe(0);
    expect(output).toMatch(/^To org\/model, branch main: 2 files, /m);
    expect(output).toMatch(/^Left out:\n {2}secret\.txt +no model file$/m);
    expect(output).toContain('README.md is written by sod card first.');
    expect(hub.requests).toEqual([]);
    expect(readdirSync(folder)).not.toContain('README.md');
  });

  test('a card of one’s own goes as it is', async () => {
    writeFileSync(join(folder, 'README.md'), '# Mine\n');
    expect((await start(name, folder).ended).status).toBe(0);
    expect(hub.files(name)['README.md'].toString()).toBe('# Mine\n');
  });

  test('Ctrl-C stops it', async () => {
    hub.stalls = true;
    const { child, ended } = start(name, folder);
    await vi.waitUntil(() => hub.requests.some(({ host }) => host === 'storage'), { timeout: 30_000 });
    child.kill('SIGINT');
    const { status, output } = await ended;
    expect(status).toBe(130);
    expect(output).toContain('nothing is published');
    expect(hub.repositories.get(name)!.messages).toEqual([]);
  });

  test('says what is missing', async () => {
    expect((await start(name).ended).output).toBe(
      'which model? Give its folder after the name: sod push org/model runs/mine/final\n',
    );
    expect((await start('model', folder).ended).output).toContain('It must be a name on the Hub');
    expect((await start(name, join(folder, 'no')).ended).output).toContain('no such file or folder; check the path');
  });
});
