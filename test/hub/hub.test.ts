import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { UserError } from '../../src/errors.ts';
import { fetchFiles } from '../../src/hub/hub.ts';
import { blobName, gitHash, type StoredFile, sha256, TestHub } from './server.ts';

const MiB = 2 ** 20;
let hub: TestHub;
let cache: string;

beforeEach(async () => {
  hub = await new TestHub().start();
  cache = newFolder();
  for (const name of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN', 'HF_HUB_OFFLINE', 'HF_TOKEN_PATH']) vi.stubEnv(name, '');
  vi.stubEnv('HF_HOME', newFolder());
  vi.stubEnv('HF_ENDPOINT', hub.endpoint);
  vi.stubEnv('HF_HUB_CACHE', cache);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
});

const newFolder = () => mkdtempSync(join(tmpdir(), 'sod-hub-'));

/** Bytes that repeat nowhere. */
function bytes(length: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[i] = state ^ i;
  }
  return Buffer.from(words.buffer, 0, length);
}

const large = (length: number, seed?: number): StoredFile => ({ content: bytes(length, seed), isLarge: true });
const small = (text: string): StoredFile => ({ content: Buffer.from(text) });

/** All files of dataset org/data. */
const dataset = { type: 'dataset' as const, name: 'org/data', select: (paths: string[]) => paths };
const root = () => join(cache, 'datasets--org--data');
const blobs = () => readdirSync(join(root(), 'blobs')).sort();
const blobOf = (file: StoredFile) => join(root(), 'blobs', blobName(file));

/** As if a download had stopped here. */
function leavePart(file: StoredFile, content: Buffer): void {
  mkdirSync(join(root(), 'blobs'), { recursive: true });
  writeFileSync(`${blobOf(file)}.incomplete`, content);
}

describe('the cache', () => {
  test('is laid out as by the tools of Hugging Face, and is all that the next fetch needs', async () => {
    const files = {
      'b.bin': large(3 * MiB),
      'README.md': small('# data'),
      'data/a b#1.txt': small('a'),
      empty: small(''),
    };
    const commit = hub.commit('datasets/org/data', files);
    const result = await fetchFiles(dataset);

    const paths = ['README.md', 'b.bin', 'data/a b#1.txt', 'empty'] as const;
    const folder = join(root(), 'snapshots', commit);
    expect(result).toEqual({ commit, folder, files: paths.map(path => ({ path, local: join(folder, path) })) });
    for (const { path, local } of result.files) {
      expect(lstatSync(local).isSymbolicLink()).toBe(true);
      expect(readFileSync(local).equals(files[path as keyof typeof files].content)).toBe(true);
    }
    expect(blobs()).toEqual(Object.values(files).map(blobName).sort());
    expect(readFileSync(join(root(), 'refs', 'main'), 'utf8')).toBe(commit);
    expect(JSON.parse(readFileSync(join(root(), 'trees', `${commit}.json`), 'utf8'))).toEqual({
      format_version: 1,
      files: {
        'README.md': { size: 6, blob_id: gitHash(files['README.md'].content) },
        'b.bin': {
          size: 3 * MiB,
          blob_id: expect.stringMatching(/^[0-9a-f]{40}$/),
          lfs_sha256: sha256(files['b.bin'].content),
          lfs_size: 3 * MiB,
        },
        'data/a b#1.txt': { size: 1, blob_id: gitHash(Buffer.from('a')) },
        empty: { size: 0, blob_id: 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391' },
      },
    });

    const before = hub.requests.length;
    expect(await fetchFiles(dataset)).toEqual(result);
    expect(hub.requests.slice(before).map(({ path }) => path.split('?')[0])).toEqual([
      '/api/datasets/org/data/revision/main',
    ]);
    // What a commit is never changes.
    expect(await fetchFiles({ ...dataset, revision: commit })).toEqual(result);
    expect(hub.requests).toHaveLength(before + 1);
  });

  test('serves what another tool fetched, without a listing and by links or copies', async () => {
    const linked = large(1000, 2);
    const copied = small('copied');
    const commit = hub.commit('models/org/model', { 'model.safetensors': linked, 'config.json': copied });
    const folder = join(cache, 'models--org--model');
    const snapshot = join(folder, 'snapshots', commit);
    for (const path of ['blobs', 'refs', `snapshots/${commit}`]) mkdirSync(join(folder, path), { recursive: true });
    writeFileSync(join(folder, 'blobs', blobName(linked)), linked.content);
    symlinkSync(`../../blobs/${blobName(linked)}`, join(snapshot, 'model.safetensors'));
    writeFileSync(join(snapshot, 'config.json'), copied.content);
    writeFileSync(join(folder, 'refs', 'main'), commit);

    const request = { type: 'model' as const, name: 'org/model', select: (paths: string[]) => paths };
    const online = await fetchFiles(request);
    expect(online.folder).toBe(snapshot);
    expect(hub.contentRequests).toEqual([]);
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect(await fetchFiles(request)).toEqual(online);
  });

  test('links a content that another commit has, instead of fetching it again', async () => {
    const same = large(1000);
    const first = hub.commit('datasets/org/data', { a: same });
    await fetchFiles(dataset);
    const second = hub.commit('datasets/org/data', { a: same, b: small('new') });
    const { commit } = await fetchFiles(dataset);
    expect(commit).toBe(second);
    expect(commit).not.toBe(first);
    expect(hub.contentRequests).toHaveLength(2);
    expect(readFileSync(join(root(), 'refs', 'main'), 'utf8')).toBe(second);
  });

  test('a file of another length than the Hub lists is fetched again', async () => {
    const file = large(1000);
    hub.commit('datasets/org/data', { a: file });
    const [{ local }] = (await fetchFiles(dataset)).files;
    writeFileSync(blobOf(file), 'short');
    await fetchFiles(dataset);
    expect(readFileSync(local).equals(file.content)).toBe(true);
  });

  test('that cannot be written to is a UserError', async () => {
    hub.commit('datasets/org/data', { a: small('a') });
    writeFileSync(root(), 'a file where a folder should be');
    await expect(fetchFiles(dataset)).rejects.toThrow(/cannot be used .*: set HF_HUB_CACHE to a folder/);
  });
});

describe('a selection', () => {
  test('is all that is fetched, of all files over all pages of the listing', async () => {
    const names = Array.from({ length: 25 }, (_, i) => `data/${String(i).padStart(2, '0')}.txt`);
    hub.filesPerPage = 10;
    hub.commit('datasets/org/data', Object.fromEntries(names.map(name => [name, small(name)])));
    let offered: string[] = [];
    const { files } = await fetchFiles({
      ...dataset,
      select: paths => {
        offered = paths;
        return paths.filter(path => path.endsWith('7.txt')).reverse();
      },
    });
    expect(offered).toEqual(names);
    expect(files.map(({ path }) => path)).toEqual(['data/07.txt', 'data/17.txt']);
    expect(hub.contentRequests).toHaveLength(2);
  });

  test('of nothing says what there is', async () => {
    const names = Array.from({ length: 14 }, (_, i) => `${String.fromCharCode(97 + i)}.txt`);
    hub.commit('datasets/org/data', Object.fromEntries(names.map(name => [name, small(name)])));
    const nothing = fetchFiles({ ...dataset, select: () => [] });
    await expect(nothing).rejects.toThrow(UserError);
    await expect(nothing).rejects.toThrow(
      `${hub.endpoint}/datasets/org/data has none of the files that are wanted at revision main; ` +
        'it has a.txt, b.txt, c.txt, d.txt, e.txt, f.txt, g.txt, h.txt, i.txt, j.txt, k.txt, l.txt and 2 more',
    );
  });
});

describe('a revision', () => {
  test('is a branch with a slash, a tag or a commit', async () => {
    const old = hub.commit('datasets/org/data', { a: small('old') });
    const branch = hub.commit('datasets/org/data', { a: small('branch') }, 'refs/convert/parquet');
    hub.commit('datasets/org/data', { a: small('new') });
    const content = async (revision?: string) => {
      const { files, commit } = await fetchFiles({ ...dataset, revision });
      return [commit, readFileSync(files[0].local, 'utf8')];
    };
    expect(await content('refs/convert/parquet')).toEqual([branch, 'branch']);
    expect(await content(old)).toEqual([old, 'old']);
    expect((await content())[1]).toBe('new');
    expect(readFileSync(join(root(), 'refs', 'refs', 'convert', 'parquet'), 'utf8')).toBe(branch);
    expect(existsSync(join(root(), 'refs', old))).toBe(false);
  });

  test.each(['../../outside', '/etc/passwd', 'a//b'])('%s is refused', async revision => {
    await expect(fetchFiles({ ...dataset, revision })).rejects.toThrow('could lead out of its folder');
    expect(hub.requests).toEqual([]);
  });
});

describe('a broken download', () => {
  test('goes on at its byte: the file arrives whole and nearly every byte was sent once', async () => {
    const file = large(8 * MiB);
    hub.commit('datasets/org/data', { a: file });
    hub.faults.push(...[1, 2.5, 1.2, 0.7, 1].map(parts => ({ cutAfter: Math.round(parts * MiB) })));
    const progress: number[] = [];
    const { files } = await fetchFiles(dataset, {
      onProgress: (path, done, total) => {
        expect([path, total]).toEqual(['a', 8 * MiB]);
        progress.push(done);
      },
    });
    expect(readFileSync(files[0].local).equals(file.content)).toBe(true);
    expect(hub.contentRequests).toHaveLength(6);
    expect(hub.contentBytesSent).toBeLessThan(1.2 * 8 * MiB);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect([progress[0], progress.at(-1)]).toEqual([0, 8 * MiB]);
    expect(blobs()).toEqual([blobName(file)]);
  });

  test('is whole in the end after any sequence of cuts, wherever they are', async () => {
    const fault = fc.oneof(
      { weight: 4, arbitrary: fc.record({ cutAfter: fc.integer({ min: 1, max: 200_000 }) }) },
      {
        weight: 1,
        arbitrary: fc.record({ cutAfter: fc.integer({ min: 1, max: 200_000 }), ignoresRange: fc.constant(true) }),
      },
    );
    let seed = 10;
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 300_000 }),
        fc.boolean(),
        fc.array(fault, { maxLength: 4 }),
        async (length, isLarge, faults) => {
          const file = { content: bytes(length, seed++), isLarge };
          const commit = hub.commit('datasets/org/data', { a: file });
          hub.faults.splice(0, Number.POSITIVE_INFINITY, ...faults);
          const { files } = await fetchFiles({ ...dataset, revision: commit });
          expect(readFileSync(files[0].local).equals(file.content)).toBe(true);
          expect(blobs().filter(name => name.includes('incomplete'))).toEqual([]);
        },
      ),
      { numRuns: 25 },
    );
  });

  test.each([
    ['the server sends everything', MiB, { ignoresRange: true }, [`bytes=${MiB}-`]],
    ['the server has no such range', MiB, { status: 416 }, [`bytes=${MiB}-`, undefined]],
    ['the part is too long', 3 * MiB, {}, [undefined]],
  ])('begins anew where %s', async (_, length, fault, ranges) => {
    const file = large(2 * MiB);
    hub.commit('datasets/org/data', { a: file });
    leavePart(file, bytes(length, 5));
    hub.faults.push(fault);
    const { files } = await fetchFiles(dataset);
    expect(readFileSync(files[0].local).equals(file.content)).toBe(true);
    expect(hub.contentRequests.map(({ range }) => range)).toEqual(ranges);
    expect(blobs()).toEqual([blobName(file)]);
  });

  test('goes on with the part that the Python library left', async () => {
    const file = large(2 * MiB);
    hub.commit('datasets/org/data', { a: file });
    leavePart(file, file.content.subarray(0, 1_234_567));
    await fetchFiles(dataset);
    expect(hub.contentRequests.map(({ range }) => range)).toEqual(['bytes=1234567-']);
    expect(blobs()).toEqual([blobName(file)]);
  });

  test('of which all bytes are here is only checked', async () => {
    const file = large(1000);
    hub.commit('datasets/org/data', { a: file });
    leavePart(file, file.content);
    const { files } = await fetchFiles(dataset);
    expect(readFileSync(files[0].local).equals(file.content)).toBe(true);
    expect(hub.contentRequests).toEqual([]);
  });

  test('that the person stops leaves its part, and ends with their reason', async () => {
    const file = large(4 * MiB);
    hub.commit('datasets/org/data', { a: file });
    hub.faults.push({ pauseMs: 5 });
    const controller = new AbortController();
    const reason = new Error('enough');
    const stopped = fetchFiles(dataset, {
      signal: controller.signal,
      onProgress: (_, done) => done > MiB && controller.abort(reason),
    });
    await expect(stopped).rejects.toBe(reason);
    expect(blobs()).toEqual([`${blobName(file)}.incomplete`]);
    const { size } = statSync(`${blobOf(file)}.incomplete`);
    expect(size).toBeGreaterThan(MiB);
    await fetchFiles(dataset);
    expect(hub.contentRequests.at(-1)!.range).toBe(`bytes=${size}-`);
    expect(blobs()).toEqual([blobName(file)]);
  });
});

describe('a server that is not well', () => {
  test('is asked again: errors, a request to wait, and a refusal by the host of the content', async () => {
    const file = large(1000);
    hub.commit('datasets/org/data', { a: file });
    hub.apiFaults.push({ status: 500 }, { status: 429, headers: { RateLimit: '"api";r=0;t=1' } });
    hub.faults.push({ status: 500 }, { status: 403 }, { status: 429, headers: { 'Retry-After': '1' } });
    const notices: string[] = [];
    const { files } = await fetchFiles(dataset, { onNotice: notice => notices.push(notice) });
    expect(readFileSync(files[0].local).equals(file.content)).toBe(true);
    const asked = expect.stringMatching(/answered 429: trying again in 1 s, as it asks/);
    expect(notices).toEqual([asked, asked]);
  });

  test('is given up after five tries without a byte; the next fetch goes on', async () => {
    const file = large(2 * MiB);
    hub.commit('datasets/org/data', { a: file });
    hub.faults.push({ cutAfter: MiB }, ...Array.from({ length: 5 }, () => ({ status: 503 })));
    const failing = fetchFiles(dataset);
    await expect(failing).rejects.toThrow(UserError);
    await expect(failing).rejects.toThrow(/answered 503; \d+ of 2097152 bytes are here, run again to go on from there/);
    const { size } = statSync(`${blobOf(file)}.incomplete`);
    expect(size).toBeGreaterThan(0);
    await fetchFiles(dataset);
    expect(hub.contentRequests.at(-1)!.range).toBe(`bytes=${size}-`);
  });
});

describe('a content that is not what the Hub lists', () => {
  const changed = (content: Buffer) => Buffer.from(content.map((byte, i) => (i === 500 ? byte ^ 1 : byte)));

  test.each([
    [
      'one bit of a large file',
      true,
      changed,
      /a of .* did not arrive .*expected SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}/,
    ],
    ['one bit of a file in git', false, changed, /expected git SHA-1 [0-9a-f]{40}, got [0-9a-f]{40}/],
    ['its end', true, (content: Buffer) => content.subarray(0, 900), /expected 1000 bytes, got 900/],
    ['more', true, (content: Buffer) => Buffer.concat([content, content]), /expected 1000 bytes, got 2000/],
  ])('in %s is refused and not kept; the next fetch begins anew', async (_, isLarge, change, message) => {
    const file = { content: bytes(1000), isLarge };
    hub.commit('datasets/org/data', { a: file });
    hub.faults.push({ content: change(file.content) });
    const failing = fetchFiles(dataset);
    await expect(failing).rejects.toThrow(UserError);
    await expect(failing).rejects.toThrow(message);
    expect(blobs()).toEqual([]);
    const { files } = await fetchFiles(dataset);
    expect(readFileSync(files[0].local).equals(file.content)).toBe(true);
  });

  test('in an old part is refused too', async () => {
    const file = large(1000);
    hub.commit('datasets/org/data', { a: file });
    leavePart(file, Buffer.from('not the beginning'));
    await expect(fetchFiles(dataset)).rejects.toThrow('did not arrive as the Hub lists it');
    expect(blobs()).toEqual([]);
  });
});

describe('the token', () => {
  test.each([
    ['HF_TOKEN', () => vi.stubEnv('HF_TOKEN', 'hf_secret')],
    ['HUGGING_FACE_HUB_TOKEN', () => vi.stubEnv('HUGGING_FACE_HUB_TOKEN', 'hf_secret')],
    ['the file of HF_HOME', () => writeFileSync(join(process.env.HF_HOME!, 'token'), 'hf_secret\n')],
    [
      'HF_TOKEN_PATH',
      () => {
        const path = join(newFolder(), 'mine');
        writeFileSync(path, ' hf_secret');
        vi.stubEnv('HF_TOKEN_PATH', path);
      },
    ],
  ])('of %s goes to the endpoint, and to no other host', async (_, set) => {
    set();
    hub.token = 'hf_secret';
    hub.filesPerPage = 1;
    hub.commit('datasets/org/data', { large: large(1000), small: small('small') });
    await fetchFiles(dataset);
    const sent = (host: string) => hub.requests.filter(request => request.host === host).map(r => r.authorization);
    expect(new Set(sent('hub'))).toEqual(new Set(['Bearer hf_secret']));
    expect(sent('content')).toEqual([undefined]);
  });

  test('does not follow the listing to another host', async () => {
    const other = await new TestHub().start();
    vi.stubEnv('HF_TOKEN', 'hf_secret');
    hub.commit('datasets/org/data', { a: small('a'), b: small('b') });
    const commit = other.commit('datasets/org/data', { a: small('a'), b: small('b') });
    hub.filesPerPage = 1;
    hub.nextPage = url => url.href.replace(hub.endpoint, other.endpoint);
    const { files } = await fetchFiles(dataset);
    expect(files).toHaveLength(2);
    expect(other.requests.map(({ path, authorization }) => [path.split('?')[0], authorization])).toEqual([
      [`/api/datasets/org/data/tree/${commit}`, undefined],
    ]);
    await other.close();
  });
});

describe('a refusal says what to do', () => {
  test('401 without a token, and with one that is not enough', async () => {
    hub.token = 'hf_right';
    hub.commit('datasets/org/data', { a: small('a') });
    const page = `${hub.endpoint}/datasets/org/data`;
    await expect(fetchFiles(dataset)).rejects.toThrow(
      `answered 401 (Access to this repository is restricted.): ${page} is not open to everybody, or does not exist; ` +
        `check the name, accept the licence at ${page} if it asks for that, and set HF_TOKEN to a token from ${hub.endpoint}/settings/tokens`,
    );
    vi.stubEnv('HF_TOKEN', 'hf_wrong');
    await expect(fetchFiles(dataset)).rejects.toThrow(
      `${page} is not open to the token in HF_TOKEN, or does not exist`,
    );
  });

  test('404 of a repository or a revision', async () => {
    hub.commit('datasets/org/data', { a: small('a') });
    await expect(fetchFiles({ ...dataset, name: 'org/other' })).rejects.toThrow(
      `${hub.endpoint} has no dataset org/other at revision main: check the name at ${hub.endpoint}/datasets/org/other`,
    );
    await expect(fetchFiles({ ...dataset, revision: 'v2' })).rejects.toThrow(
      `${hub.endpoint}/datasets/org/data has no revision v2: name a branch, tag or commit of it`,
    );
    expect(hub.requests).toHaveLength(2);
  });

  test('an HF_ENDPOINT that is no Hub, or no address', async () => {
    hub.commit('datasets/org/data', { a: small('a') });
    hub.listed = () => [{ type: 'file', path: 'a', size: 1 }];
    await expect(fetchFiles(dataset)).rejects.toThrow('does not answer as the Hub does (oid: ');
    vi.stubEnv('HF_ENDPOINT', 'huggingface.co');
    await expect(fetchFiles(dataset)).rejects.toThrow('HF_ENDPOINT is huggingface.co; expected an address');
  });
});

describe('without network', () => {
  const fetchOffline = (request = dataset) => {
    const notices: string[] = [];
    return { notices, result: fetchFiles(request, { onNotice: notice => notices.push(notice) }) };
  };

  test('offline mode asks nothing and takes the cache', async () => {
    const commit = hub.commit('datasets/org/data', { a: small('a'), 'b c': small('b') });
    await fetchFiles({ ...dataset, select: () => ['a'] });
    hub.requests.splice(0);
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    const cached = await fetchFiles({ ...dataset, select: () => ['a'] });
    expect(cached.commit).toBe(commit);
    const missing = fetchFiles(dataset);
    await expect(missing).rejects.toThrow(UserError);
    await expect(missing).rejects.toThrow(
      `b c of ${hub.endpoint}/datasets/org/data at revision main is not in the cache ${cache}, and HF_HUB_OFFLINE is set: ` +
        "unset it and run again, or fetch it where there is a network with hf download org/data 'b c' --repo-type dataset --revision main",
    );
    await expect(fetchFiles({ ...dataset, name: 'org/other' })).rejects.toThrow(
      'hf download org/other --repo-type dataset --revision main',
    );
    expect(hub.requests).toEqual([]);
  });

  test('a Hub that cannot be reached is replaced by the cache, with a notice', async () => {
    hub.commit('datasets/org/data', { a: small('a'), b: small('b') });
    const online = await fetchFiles({ ...dataset, select: () => ['a'] });
    await hub.close();
    const { notices, result } = fetchOffline({ ...dataset, select: () => ['a'] });
    expect(await result).toEqual(online);
    expect(notices).toEqual([
      `${new URL(hub.endpoint).host} cannot be reached (ECONNREFUSED): using what the cache has of ${hub.endpoint}/datasets/org/data`,
    ]);
    await expect(fetchOffline().result).rejects.toThrow(
      /^b of .* is not in the cache .*ECONNREFUSED.*check the network and HF_ENDPOINT/,
    );
  });

  test('a cache without a listing takes the files that are there for all, and says so', async () => {
    const commit = '1'.repeat(40);
    mkdirSync(join(root(), 'snapshots', commit, 'data'), { recursive: true });
    writeFileSync(join(root(), 'snapshots', commit, 'data', 'a'), 'a');
    vi.stubEnv('HF_HUB_OFFLINE', 'TRUE');
    const { notices, result } = fetchOffline({ ...dataset, ...{ revision: commit } });
    expect((await result).files.map(({ path }) => path)).toEqual(['data/a']);
    expect(notices).toEqual([expect.stringContaining('the cache has no list of the files')]);
  });
});

test.each(['../../../outside', '/outside', 'a/../../outside', 'a\\..\\..\\outside', 'C:/outside', 'a//b', 'a\nb'])(
  'the Hub cannot have a file written to %j',
  async path => {
    hub.commit('datasets/org/data', { good: small('good'), bad: small('bad') });
    hub.listed = entries => entries.map(entry => (entry.path === 'bad' ? { ...entry, path } : entry));
    await expect(fetchFiles(dataset)).rejects.toThrow(`${JSON.stringify(path)} is no name for a file of the cache`);
    const { files } = await fetchFiles({ ...dataset, select: () => ['good'] });
    expect(files).toHaveLength(1);
  },
);

describe('several at once', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  function start(): {
    child: ChildProcess;
    output: () => string;
    ended: Promise<number | null>;
    says: (text: string) => Promise<void>;
  } {
    const script = fileURLToPath(new URL('fetcher.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', script, 'org/data'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    let output = '';
    child.stdout!.on('data', chunk => {
      output += chunk;
    });
    const ended = new Promise<number | null>(resolve => child.on('close', resolve));
    const says = (text: string) => vi.waitUntil(() => output.includes(text), { timeout: 60_000 }).then(() => {});
    return { child, output: () => output, ended, says };
  }

  test('a fetch that was killed goes on where it was', async () => {
    const file = large(8 * MiB);
    hub.commit('datasets/org/data', { a: file });
    hub.faults.push({ pauseMs: 20 });
    const killed = start();
    await killed.says('a 2');
    killed.child.kill('SIGKILL');
    await killed.ended;
    const [left] = blobs();
    expect(left).toMatch(/\.incomplete$/);
    const { size } = statSync(join(root(), 'blobs', left));
    const { files } = await fetchFiles(dataset);
    expect(hub.contentRequests.at(-1)!.range).toBe(`bytes=${size}-`);
    expect(readFileSync(files[0].local).equals(file.content)).toBe(true);
    expect(blobs()).toEqual([blobName(file)]);
  });

  test('another process waits for the one that is downloading, and takes over when it dies', async () => {
    const file = large(8 * MiB);
    hub.commit('datasets/org/data', { a: file });
    hub.faults.push({ pauseMs: 100 });
    const first = start();
    await first.says('a 1');
    const second = start();
    await second.says('waiting for another process');
    expect(hub.contentRequests).toHaveLength(1);
    first.child.kill('SIGKILL');
    expect(await second.ended).toBe(0);
    expect(hub.contentRequests).toHaveLength(2);
    expect(readFileSync(blobOf(file)).equals(file.content)).toBe(true);
    expect(blobs()).toEqual([blobName(file)]);
  });

  test('processes and calls that start together end with one whole file', async () => {
    const file = large(2 * MiB);
    hub.commit('datasets/org/data', { a: file });
    hub.faults.push({ pauseMs: 10 });
    const others = [start(), start(), start()];
    const calls = await Promise.all([fetchFiles(dataset), fetchFiles(dataset), fetchFiles(dataset)]);
    for (const { files } of calls) expect(readFileSync(files[0].local).equals(file.content)).toBe(true);
    expect(await Promise.all(others.map(({ ended }) => ended))).toEqual([0, 0, 0]);
    expect(hub.contentRequests).toHaveLength(1);
    expect(blobs()).toEqual([blobName(file)]);
  });
});
