import type { PyodideAPI } from 'pyodide';

/** The writable directories; each session has its own, everything else is read-only. */
export const HOME = '/home/user';
const TMP = '/tmp';

const ENOSPC = 51;
const EROFS = 69;
/** Most bytes in a session's files. */
const QUOTA = 32 * 2 ** 20;
/** What a file, directory or link takes beside its name and contents. */
const NODE_BYTES = 1024;

/** The in-memory file system's own structures, as far as they are used here. */
interface Node {
  name: string;
  parent: Node;
  mode: number;
  rdev: number;
  /** What is mounted on a directory. */
  mounted: { root: Node } | null;
  /** Of a link. */
  link?: string;
  contents?: Record<string, Node> | Uint8Array;
  node_ops: Record<string, unknown>;
}
interface Stream {
  node: Node;
  /** Its flags and position, which its duplicates have in common. */
  shared: object;
}
interface StreamOperations {
  read(stream: Stream, buffer: Uint8Array, offset: number, length: number): number;
  write: Write;
}
interface FileSystem {
  root: Node;
  devices: Record<number, { stream_ops: StreamOperations }>;
  streams: (Stream | null)[];
  nextInode: number;
  currentPath: string;
  ErrnoError: new (errno: number) => Error;
  FSStream: new () => Stream;
  lookupPath(path: string): { node: Node };
  isDir(mode: number): boolean;
  isFile(mode: number): boolean;
  isLink(mode: number): boolean;
  rmdir(path: string): void;
  hashAddNode(node: Node): void;
  hashRemoveNode(node: Node): void;
  filesystems: { MEMFS: MemoryFiles };
}
type Write = (
  stream: Stream,
  buffer: Uint8Array,
  offset: number,
  length: number,
  position: number,
  canOwn: boolean,
) => number;
interface MemoryFiles {
  createNode(parent: Node, name: string, mode: number, device: number): Node;
  resizeFileStorage(node: Node, bytes: number): void;
  /** Of files; the table has copies of them. */
  stream_ops: StreamOperations;
  ops_table: {
    file: { stream: StreamOperations };
    dir: {
      node: {
        symlink(parent: Node, name: string, target: string): Node;
        rename(node: Node, parent: Node, name: string): void;
      };
    };
  };
}

/** A session's directories, open files and working directory. */
export interface SessionFiles {
  roots: Node[];
  streams: (Stream | null)[];
  cwd: string;
  nextInode: number;
  /** What all this takes. */
  bytes: number;
}

/** Gives each session file-system state of its own by exchanging the writable directories. */
export class Files {
  readonly #fs: FileSystem;
  readonly #streams: (Stream | null)[];
  readonly #parents: Node[];
  readonly #names: string[];
  readonly #nextInode: number;
  /** Makes a node without asking the quota. */
  readonly #create: MemoryFiles['createNode'];
  /** All that sessions share, with what of it can change: its mode and its times, the same in each interpreter. */
  readonly #shared = new Map<Node, { mode: number; atime: 0; mtime: 0; ctime: 0 }>();
  #roots: Node[];
  /** Upper bound of the bytes in the current session's files, made exact when it reaches the quota. */
  #bytes = 0;

  /** @param randomize gives the next random bytes of the current session */
  constructor(pyodide: PyodideAPI, randomize: (target: Uint8Array) => void) {
    this.#fs = pyodide.FS as unknown as FileSystem;
    this.#streams = [...this.#fs.streams];
    this.#fs.rmdir('/home/web_user');
    this.#roots = [HOME, TMP].map(path => this.#fs.lookupPath(path).node);
    this.#parents = this.#roots.map(node => node.parent);
    this.#names = this.#roots.map(node => node.name);
    this.#nextInode = this.#fs.nextInode;
    const memory = this.#fs.filesystems.MEMFS;
    this.#create = memory.createNode.bind(memory);
    this.#protect(this.#fs.root);
    this.#replaceDevices(randomize);
    this.#limit(memory);
  }

  /** Makes these files the current ones; without files, empty directories. Returns those until now, to be given back later. */
  exchange(files = this.#fresh()): SessionFiles {
    const [fs, bytes] = [this.#fs, this.#stored()];
    const left = { roots: this.#roots, streams: [...fs.streams], cwd: fs.currentPath, nextInode: fs.nextInode, bytes };
    for (const node of nodesUnder(this.#roots)) fs.hashRemoveNode(node);
    for (const node of nodesUnder(files.roots)) fs.hashAddNode(node);
    files.roots.forEach((node, i) => {
      (this.#parents[i].contents as Record<string, Node>)[node.name] = node;
    });
    for (const [node, state] of this.#shared) Object.assign(node, state);
    fs.streams.splice(0, fs.streams.length, ...files.streams);
    fs.currentPath = files.cwd;
    fs.nextInode = files.nextInode;
    this.#roots = files.roots;
    this.#bytes = files.bytes;
    return left;
  }

  #fresh(): SessionFiles {
    const fs = this.#fs;
    const nextInode = fs.nextInode;
    fs.nextInode = this.#nextInode;
    const roots = this.#parents.map((parent, i) => {
      const node = this.#create(parent, this.#names[i], 0o40777, 0);
      fs.hashRemoveNode(node);
      return node;
    });
    const fresh = fs.nextInode;
    fs.nextInode = nextInode;
    const streams = this.#streams.map(
      stream => stream && Object.assign(new fs.FSStream(), stream, { shared: { ...stream.shared } }),
    );
    return { roots, streams, cwd: HOME, nextInode: fresh, bytes: 0 };
  }

  /** All but the session's own directories is read-only, devices included. */
  #protect(node: Node): void {
    if (this.#roots.includes(node)) return;
    const [isDir, isFile] = [this.#fs.isDir(node.mode), this.#fs.isFile(node.mode)];
    if (isDir) for (const child of Object.values(node.contents ?? {})) this.#protect(child);
    if (node.mounted) this.#protect(node.mounted.root);
    if (isDir || isFile) node.mode &= ~0o222;
    node.node_ops = { ...node.node_ops, setattr: () => this.#refuse(EROFS) };
    this.#shared.set(node, { mode: node.mode, atime: 0, mtime: 0, ctime: 0 });
  }

  #refuse(errno: number): never {
    throw new this.#fs.ErrnoError(errno);
  }

  /** Terminals are the host's and would keep what is written: they take and give nothing. Chance is the session's own. */
  #replaceDevices(randomize: (target: Uint8Array) => void): void {
    const operations = (path: string) => this.#fs.devices[this.#fs.lookupPath(path).node.rdev];
    for (const path of ['/dev/tty', '/dev/tty1']) operations(path).stream_ops = operations('/dev/null').stream_ops;
    for (const path of ['/dev/random', '/dev/urandom']) {
      operations(path).stream_ops.read = (_, buffer, offset, length) => {
        randomize(buffer.subarray(offset, offset + length));
        return length;
      };
    }
  }

  /** Puts the quota before whatever makes files grow, or more of them. */
  #limit(memory: MemoryFiles): void {
    const demand = (bytes: number) => {
      if (this.#bytes + bytes > QUOTA) this.#bytes = this.#stored();
      if (bytes > 0 && this.#bytes + bytes > QUOTA) this.#refuse(ENOSPC);
    };
    const charge = (bytes: number) => {
      demand(bytes);
      this.#bytes += bytes;
    };
    const within = <T>(node: Node, bytes: number, grow: () => T): T => {
      // A descriptor can be made writable after it was opened.
      if (this.#shared.has(node)) this.#refuse(EROFS);
      const before = bytesOf(node);
      demand(bytes - (node.contents as Uint8Array).length);
      const result = grow();
      this.#bytes += Math.max(0, bytesOf(node) - before);
      return result;
    };
    const { write } = memory.stream_ops;
    memory.stream_ops.write = (stream, buffer, offset, length, position, canOwn) =>
      within(stream.node, position + length, () => write(stream, buffer, offset, length, position, canOwn));
    memory.ops_table.file.stream.write = memory.stream_ops.write;
    const resize = memory.resizeFileStorage.bind(memory);
    memory.resizeFileStorage = (node, bytes) => within(node, bytes, () => resize(node, bytes));
    memory.createNode = (parent, name, mode, device) => {
      charge(NODE_BYTES + 2 * name.length);
      return this.#create(parent, name, mode, device);
    };
    const { symlink, rename } = memory.ops_table.dir.node;
    memory.ops_table.dir.node.symlink = (parent, name, target) => {
      charge(2 * target.length);
      return symlink(parent, name, target);
    };
    memory.ops_table.dir.node.rename = (node, parent, name) => {
      charge(2 * name.length);
      rename(node, parent, name);
    };
  }

  /** Bytes of the current session's files. */
  #stored(): number {
    const nodes = new Set(nodesUnder(this.#roots));
    for (const root of this.#roots) nodes.delete(root);
    for (const stream of this.#fs.streams) {
      if (stream && this.#fs.isFile(stream.node.mode) && !this.#shared.has(stream.node)) nodes.add(stream.node);
    }
    let bytes = 0;
    for (const node of nodes) bytes += bytesOf(node);
    return bytes;
  }
}

/** The nodes themselves and all in them. */
function* nodesUnder(roots: readonly Node[]): Generator<Node> {
  const open = [...roots];
  for (let node = open.pop(); node; node = open.pop()) {
    yield node;
    if (!ArrayBuffer.isView(node.contents)) open.push(...Object.values(node.contents ?? {}));
  }
}

function bytesOf({ name, link = '', contents }: Node): number {
  return NODE_BYTES + 2 * (name.length + link.length) + (ArrayBuffer.isView(contents) ? contents.byteLength : 0);
}
