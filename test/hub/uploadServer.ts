import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { sha256 } from './server.ts';

interface LoggedRequest {
  host: 'hub' | 'storage';
  method: string;
  path: string;
  authorization?: string;
}

interface Repository {
  private: boolean;
  branches: Map<string, Map<string, Buffer>>;
  messages: string[];
}

/** A small Hugging Face Hub that can be written to: its API, and the storage of large files on a host of its own. */
export class UploadHub {
  endpoint = '';
  readonly token = 'hf_secret';
  readonly requests: LoggedRequest[] = [];
  readonly repositories = new Map<string, Repository>();
  readonly stored = new Map<string, Buffer>();
  /** Answers instead of the API, where it gives a status. */
  refuse: (method: string, path: string) => { status: number; error?: string } | undefined = () => undefined;
  /** Large files go in parts of so many bytes. */
  partBytes?: number;
  /** Storage does not answer … */
  stalls = false;
  /** … or with this status alone. */
  storageStatus?: number;

  readonly #parts = new Map<string, Buffer[]>();
  // A client that stops in the middle of its request is none that waits for an answer.
  readonly #hub = createServer((request, response) => this.#answer(request, response).catch(() => {}));
  readonly #storage = createServer((request, response) => this.#store(request, response).catch(() => {}));

  async start(): Promise<this> {
    for (const server of [this.#hub, this.#storage]) {
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    }
    this.endpoint = address(this.#hub);
    return this;
  }

  async close(): Promise<void> {
    for (const server of [this.#hub, this.#storage]) {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    }
  }

  add(name: string, isPrivate = false): Repository {
    const repository = { private: isPrivate, branches: new Map([['main', new Map()]]), messages: [] };
    this.repositories.set(name, repository);
    return repository;
  }

  files(name: string, branch = 'main'): Record<string, Buffer> {
    return Object.fromEntries(this.repositories.get(name)?.branches.get(branch) ?? []);
  }

  #log(host: LoggedRequest['host'], { method, url, headers }: IncomingMessage): void {
    this.requests.push({ host, method: method!, path: url!, authorization: headers.authorization });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#log('hub', request);
    const path = decodeURIComponent(new URL(request.url!, this.endpoint).pathname);
    const body = await buffer(request);
    const refused = this.refuse(request.method!, path);
    if (refused) return json(response, { error: refused.error }, refused.status);
    if (request.headers.authorization !== `Bearer ${this.token}`) {
      return json(response, { error: 'Invalid username or password.' }, 401);
    }
    if (path === '/api/repos/create') {
      const { organization, name, visibility, type } = JSON.parse(body.toString());
      if (type !== 'model') return json(response, { error: 'not a model' }, 400);
      if (this.repositories.has(`${organization}/${name}`)) return json(response, { error: 'exists' }, 409);
      this.add(`${organization}/${name}`, visibility === 'private');
      return json(response, { url: `${this.endpoint}/${organization}/${name}`, id: '1' });
    }
    const batch = /^\/([^/]+\/[^/]+)\.git\/info\/lfs\/objects\/batch$/.exec(path);
    if (batch) return json(response, this.#batch(JSON.parse(body.toString())));
    const [, name, action, branch] = /^\/api\/models\/([^/]+\/[^/]+)\/(\w+)\/(.+)$/.exec(path) ?? [];
    const repository = this.repositories.get(name);
    if (!repository) return json(response, { error: 'Repository not found' }, 404);
    if (action === 'revision') {
      return json(response, { _id: '1', id: name, private: repository.private, gated: false, likes: 0, downloads: 0 });
    }
    if (action === 'branch') {
      if (repository.branches.has(branch)) return json(response, { error: 'Reference already exists' }, 409);
      repository.branches.set(branch, new Map(repository.branches.get('main')));
      return json(response, {});
    }
    const files = repository.branches.get(branch);
    if (!files) return json(response, { error: `Invalid rev id: ${branch}` }, 404);
    if (action === 'preupload') return json(response, preupload(JSON.parse(body.toString())));
    this.#commit(repository, files, body.toString());
    json(response, { commitOid: 'c'.repeat(40), commitUrl: `${this.endpoint}/${name}/commit/${'c'.repeat(40)}` });
  }

  #batch({ objects, transfers }: { objects: { oid: string; size: number }[]; transfers: string[] }) {
    const transfer = this.partBytes && transfers.includes('multipart') ? 'multipart' : 'basic';
    const storage = address(this.#storage);
    return {
      transfer,
      objects: objects.map(({ oid, size }) => {
        if (this.stored.has(oid)) return { oid, size };
        if (transfer === 'basic')
          return { oid, size, actions: { upload: { href: `${storage}/${oid}?signature=s3cret` } } };
        const parts = Array.from({ length: Math.ceil(size / this.partBytes!) }, (_, i) => i + 1);
        const header = Object.fromEntries(parts.map(part => [String(part), `${storage}/${oid}?part=${part}`]));
        const upload = {
          href: `${storage}/${oid}?complete`,
          header: { chunk_size: String(this.partBytes), ...header },
        };
        return { oid, size, actions: { upload } };
      }),
    };
  }

  async #store(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#log('storage', request);
    if (this.stalls) return;
    const content = await buffer(request);
    if (this.storageStatus) {
      response.writeHead(this.storageStatus).end('<Error>InternalError</Error>');
      return;
    }
    const url = new URL(request.url!, address(this.#storage));
    const oid = url.pathname.slice(1);
    const part = url.searchParams.get('part');
    // As the storage of the Hub, which must know the length beforehand.
    if (request.method === 'PUT' && request.headers['content-length'] !== String(content.length)) {
      response.writeHead(411).end();
      return;
    }
    const parts = this.#parts.get(oid) ?? [];
    if (part) {
      parts[Number(part) - 1] = content;
      this.#parts.set(oid, parts);
      response.writeHead(200, { ETag: `"${part}"` }).end();
      return;
    }
    const whole = url.searchParams.has('complete') ? Buffer.concat(parts) : content;
    if (sha256(whole) !== oid) {
      response.writeHead(400).end('<Error>BadDigest</Error>');
      return;
    }
    this.stored.set(oid, whole);
    json(response, {});
  }

  #commit(repository: Repository, files: Map<string, Buffer>, body: string): void {
    for (const { key, value } of body.split('\n').map(line => JSON.parse(line))) {
      if (key === 'header') repository.messages.push(value.summary);
      if (key === 'file') files.set(value.path, Buffer.from(value.content, 'base64'));
      if (key === 'lfsFile') files.set(value.path, this.stored.get(value.oid)!);
    }
  }
}

function preupload({ files }: { files: { path: string }[] }) {
  const mode = (path: string) => (/\.(safetensors|gguf)$/.test(path) ? 'lfs' : 'regular');
  return { files: files.map(({ path }) => ({ path, uploadMode: mode(path) })) };
}

function address(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function json(response: ServerResponse, content: unknown, status = 200): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(content));
}
