import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface StoredFile {
  content: Buffer;
  /** In large file storage, so that its content comes from another host. */
  isLarge?: boolean;
}

/** What goes wrong with one answer that carries content. */
export interface Fault {
  /** The connection ends after so many bytes. */
  cutAfter?: number;
  /** Answers with this status alone … */
  status?: number;
  headers?: Record<string, string>;
  /** … or with all bytes, whatever the range. */
  ignoresRange?: boolean;
  /** Sends this instead. */
  content?: Buffer;
  /** Between pieces of 64 KiB. */
  pauseMs?: number;
}

export interface LoggedRequest {
  host: 'hub' | 'content';
  path: string;
  range?: string;
  authorization?: string;
}

const sha = (algorithm: string, ...parts: (string | Buffer)[]) => {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

export const gitHash = (content: Buffer) => sha('sha1', `blob ${content.length}\0`, content);
export const sha256 = (content: Buffer) => sha('sha256', content);

/** The name by which the cache knows a content. */
export const blobName = ({ content, isLarge }: StoredFile) => (isLarge ? sha256(content) : gitHash(content));

/** The files of a folder: weights are in large file storage. */
export function filesOf(folder: string): Record<string, StoredFile> {
  const file = (path: string) => ({
    content: readFileSync(join(folder, path)),
    isLarge: path.endsWith('.safetensors'),
  });
  return Object.fromEntries(readdirSync(folder).map(path => [path, file(path)]));
}

/** A small Hugging Face Hub: its API for listing and its two hosts, with faults on request. */
export class TestHub {
  endpoint = '';
  readonly requests: LoggedRequest[] = [];
  /** One for each of the next answers with content. */
  readonly faults: Fault[] = [];
  /** For requests of the API, likewise. */
  readonly apiFaults: Fault[] = [];
  /** Who may read; everybody, if unset. */
  token?: string;
  filesPerPage = 1000;
  contentBytesSent = 0;
  /** Overrides what the API lists, to play a Hub that lies. */
  listed?: (entries: Record<string, unknown>[]) => unknown;
  nextPage = (url: URL) => url.href;

  readonly #commits = new Map<string, Map<string, StoredFile>>();
  readonly #refs = new Map<string, string>();
  readonly #hub: Server;
  readonly #content: Server;

  constructor() {
    this.#hub = createServer((request, response) => this.#answer(request, response));
    this.#content = createServer((request, response) => this.#answerContent(request, response));
  }

  async start(): Promise<this> {
    for (const server of [this.#hub, this.#content]) {
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    }
    this.endpoint = address(this.#hub);
    return this;
  }

  async close(): Promise<void> {
    for (const server of [this.#hub, this.#content]) {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    }
  }

  /** Puts a commit into `models/org/name` or `datasets/org/name`, and returns its hash. */
  commit(repository: string, files: Record<string, StoredFile>, branch = 'main'): string {
    const commit = sha('sha1', repository, ...Object.entries(files).flatMap(([path, { content }]) => [path, content]));
    this.#commits.set(`${repository}@${commit}`, new Map(Object.entries(files)));
    this.#refs.set(`${repository}@${branch}`, commit);
    return commit;
  }

  /** Requests for content, redirections not counted. */
  get contentRequests(): LoggedRequest[] {
    return this.requests.filter(({ host, path }) => host === 'content' || path.startsWith('/api/resolve-cache/'));
  }

  #log(host: LoggedRequest['host'], { url, headers }: IncomingMessage): void {
    this.requests.push({ host, path: url!, range: headers.range, authorization: headers.authorization });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#log('hub', request);
    if (this.token && request.headers.authorization !== `Bearer ${this.token}`) {
      refuse(response, 401, 'GatedRepo', 'Access to this repository is restricted.');
      return;
    }
    const url = new URL(request.url!, this.endpoint);
    const path = decodeURIComponent(url.pathname);
    const cached = /^\/api\/resolve-cache\/((?:models|datasets)\/[^/]+\/[^/]+)\/([^/]+)\/(.+)$/.exec(path);
    if (cached) {
      response.setHeader('X-Repo-Commit', cached[2]);
      void this.#send(request, response, this.#commits.get(`${cached[1]}@${cached[2]}`)!.get(cached[3])!.content);
      return;
    }
    const fault = path.startsWith('/api/') ? this.apiFaults.shift() : undefined;
    if (fault?.status) {
      response.writeHead(fault.status, fault.headers).end();
      return;
    }
    const api = /^\/api\/((models|datasets)\/[^/]+\/[^/]+)\/(revision|tree)\/(.+)$/.exec(path);
    const resolved = /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path);
    if (!api && !resolved) {
      refuse(response, 404, 'RepoNotFound', 'Repository not found');
      return;
    }
    const repository = api ? api[1] : `${resolved![1] ?? 'models/'}${resolved![2]}`;
    const revision = api ? api[4] : resolved![3];
    if (![...this.#refs.keys()].some(ref => ref.startsWith(`${repository}@`))) {
      refuse(response, 404, 'RepoNotFound', 'Repository not found');
      return;
    }
    const commit = this.#refs.get(`${repository}@${revision}`) ?? revision;
    const files = this.#commits.get(`${repository}@${commit}`);
    if (!files) refuse(response, 404, 'RevisionNotFound', `Invalid rev id: ${revision}`);
    else if (api?.[3] === 'revision') json(response, { _id: '1', id: api[1], sha: commit, siblings: [] });
    else if (api) this.#list(url, files, response);
    else this.#redirect(response, repository, commit, resolved![4], files.get(resolved![4]));
  }

  #list(url: URL, files: Map<string, StoredFile>, response: ServerResponse): void {
    const entries: Record<string, unknown>[] = [...files].map(([path, file]) => {
      const { content, isLarge } = file;
      const size = content.length;
      const lfs = isLarge ? { oid: sha256(content), size, pointerSize: 130 } : undefined;
      return { type: 'file', path, size, oid: isLarge ? gitHash(Buffer.from(path)) : gitHash(content), lfs };
    });
    const folders = new Set([...files.keys()].filter(path => path.includes('/')).map(path => path.split('/')[0]));
    entries.push(...[...folders].map(path => ({ type: 'directory', path, size: 0, oid: '0'.repeat(40) })));
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const next = from + this.filesPerPage;
    if (next < entries.length) {
      url.searchParams.set('cursor', String(next));
      response.setHeader('Link', `<${this.nextPage(url)}>; rel="next"`);
    }
    const page = entries.slice(from, next);
    json(response, this.listed ? this.listed(page) : page);
  }

  /** As the Hub does: large files are on another host, small ones at another address of its own. */
  #redirect(response: ServerResponse, repository: string, commit: string, path: string, file?: StoredFile): void {
    if (!file) {
      refuse(response, 404, 'EntryNotFound', 'Entry not found');
      return;
    }
    const own = `/api/resolve-cache/${repository}/${commit}/${encodeURIComponent(path)}`;
    const headers = {
      'X-Repo-Commit': commit,
      'X-Linked-Size': file.content.length,
      'X-Linked-Etag': `"${blobName(file)}"`,
      ETag: `"${blobName(file)}"`,
    };
    if (file.isLarge) {
      const key = `${repository}@${commit}/${path}`;
      response
        .writeHead(302, { ...headers, Location: `${address(this.#content)}/?key=${encodeURIComponent(key)}` })
        .end();
    } else {
      response.writeHead(307, { ...headers, Location: own }).end();
    }
  }

  #answerContent(request: IncomingMessage, response: ServerResponse): void {
    this.#log('content', request);
    const key = new URL(request.url!, address(this.#content)).searchParams.get('key')!;
    const [, commit, path] = /^(.+?@[0-9a-f]{40})\/(.+)$/.exec(key)!;
    void this.#send(request, response, this.#commits.get(commit)!.get(path)!.content);
  }

  async #send(request: IncomingMessage, response: ServerResponse, original: Buffer): Promise<void> {
    const fault = request.method === 'HEAD' ? {} : (this.faults.shift() ?? {});
    if (fault.status) {
      response.writeHead(fault.status, fault.headers).end();
      return;
    }
    const content = fault.content ?? original;
    const from = fault.ignoresRange ? 0 : Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const headers = { ETag: `"${gitHash(original)}"`, 'Accept-Ranges': 'bytes' };
    if (from > 0 && from >= content.length) {
      response.writeHead(416, { ...headers, 'Content-Range': `bytes */${content.length}` }).end('out of range');
      return;
    }
    const range = `bytes ${from}-${content.length - 1}/${content.length}`;
    response.writeHead(from ? 206 : 200, {
      ...headers,
      ...(from && { 'Content-Range': range }),
      'Content-Length': content.length - from,
    });
    const end = fault.cutAfter === undefined ? content.length : Math.min(content.length, from + fault.cutAfter);
    for (let position = from; position < end && !response.destroyed; position += 2 ** 16) {
      const piece = content.subarray(position, Math.min(end, position + 2 ** 16));
      await new Promise(resolve => response.write(piece, resolve));
      this.contentBytesSent += piece.length;
      if (fault.pauseMs) await sleep(fault.pauseMs);
    }
    if (end < content.length) {
      // What is on its way still arrives.
      await sleep(20);
      response.socket?.destroy();
    } else response.end();
  }
}

function address(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function json(response: ServerResponse, content: unknown): void {
  response.setHeader('Content-Type', 'application/json').end(JSON.stringify(content));
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response
    .writeHead(status, { 'X-Error-Code': code, 'X-Error-Message': message })
    .end(JSON.stringify({ error: message }));
}
