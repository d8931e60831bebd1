import type { PyodideAPI } from 'pyodide';

/** The writable directories; each session has its own, everything else is read-only. */
export const HOME = '/home/user';
const TMP = '/tmp';

const ENOSPC = 51;
const EROFS = 69;
/** Most bytes in a session's files. */
const QUOTA = 32 * 2 ** 20;

/** The in-memory file system's own structures, as far as they are used here. */
interface Node {
  name: string;
  parent: Node;
  mode: number;
  contents: Record<string, Node> | Uint8Array;
  node_ops: Record<string, unknown>;
}
interface Stream {
  fd: number | null;
  node: Node;
}
interface FileSystem {
  root: Node;
  streams: (Stream | null)[];
  currentPath: string;
  ErrnoError: new (errno: number) => Error;
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
  ops_table: { file: { stream: { write: Write } } };
}

/** A session's directories, open files and working directory. */
export interface SessionFiles {
  roots: Node[];
  streams: (Stream | null)[];
  cwd: string;
}

/** Gives each session file-system state of its own by exchanging the writable directories. */
export class Files {
  readonly #fs: FileSystem;
  readonly #streams: (Stream | null)[];
  readonly #parents: Node[];
  readonly #names: string[];
  #current: SessionFiles;
  /** Upper bound of the bytes in the current session's files, made exact when it reaches the quota. */
  #bytes = 0;

  constructor(pyodide: PyodideAPI) {
    this.#fs = pyodide.FS as unknown as FileSystem;
    this.#streams = [...this.#fs.streams];
    this.#fs.rmdir('/home/web_user');
    const roots = [HOME, TMP].map(path => this.#fs.lookupPath(path).node);
    this.#parents = roots.map(node => node.parent);
    this.#names = roots.map(node => node.name);
    this.#current = { roots, streams: this.#streams, cwd: HOME };
    this.#protect(this.#fs.root, new Set(roots));
    this.#limit(this.#fs.filesystems.MEMFS);
  }

  /** The current session's files, to be given to `enter` later. */
  leave(): SessionFiles {
    return { roots: this.#current.roots, streams: [...this.#fs.streams], cwd: this.#fs.currentPath };
  }

  /** Makes these files the current ones; without files, empty directories. */
  enter(files?: SessionFiles): void {
    for (const node of this.#current.roots) this.#fs.hashRemoveNode(node);
    if (files) {
      files.roots.forEach((node, i) => {
        this.#fs.hashAddNode(node);
        (this.#parents[i].contents as Record<string, Node>)[node.name] = node;
      });
    }
    const memory = this.#fs.filesystems.MEMFS;
    const fresh = () => this.#parents.map((parent, i) => memory.createNode(parent, this.#names[i], 0o40777, 0));
    this.#current = files ?? { roots: fresh(), streams: this.#streams, cwd: HOME };
    this.#fs.streams.length = 0;
    this.#fs.streams.push(...this.#current.streams);
    this.#fs.streams.forEach((stream, fd) => {
      if (stream) stream.fd = fd;
    });
    this.#fs.currentPath = this.#current.cwd;
    this.#bytes = this.#stored();
  }

  /** Forgets files that were left and will not be entered again. */
  discard(files: SessionFiles): void {
    const forget = (node: Node) => {
      if (this.#fs.isDir(node.mode)) Object.values(node.contents as Record<string, Node>).forEach(forget);
      this.#fs.hashRemoveNode(node);
    };
    files.roots.forEach(forget);
  }

  #protect(node: Node, writable: Set<Node>): void {
    if (writable.has(node) || this.#fs.isLink(node.mode)) return;
    const isDir = this.#fs.isDir(node.mode);
    if (isDir) for (const child of Object.values(node.contents as Record<string, Node>)) this.#protect(child, writable);
    if (!isDir && !this.#fs.isFile(node.mode)) return;
    node.mode &= ~0o222;
    const refuse = () => {
      throw new this.#fs.ErrnoError(EROFS);
    };
    node.node_ops = { ...node.node_ops, setattr: refuse };
  }

  /** Puts the quota before the two operations that make files grow. */
  #limit(memory: MemoryFiles): void {
    const within = <T>(node: Node, bytes: number, grow: () => T): T => {
      const before = (node.contents as Uint8Array).length;
      const growth = Math.max(0, bytes - before);
      if (this.#bytes + growth > QUOTA) this.#bytes = this.#stored();
      if (growth > 0 && this.#bytes + growth > QUOTA) throw new this.#fs.ErrnoError(ENOSPC);
      const result = grow();
      this.#bytes += Math.max(0, (node.contents as Uint8Array).length - before);
      return result;
    };
    const { write } = memory.ops_table.file.stream;
    memory.ops_table.file.stream.write = (stream, buffer, offset, length, position, canOwn) =>
      within(stream.node, position + length, () => write(stream, buffer, offset, length, position, canOwn));
    const resize = memory.resizeFileStorage.bind(memory);
    memory.resizeFileStorage = (node, bytes) => within(node, bytes, () => resize(node, bytes));
  }

  #stored(): number {
    const files = new Set<Node>();
    const visit = (node: Node) => {
      if (this.#fs.isDir(node.mode)) Object.values(node.contents as Record<string, Node>).forEach(visit);
      else if (this.#fs.isFile(node.mode)) files.add(node);
    };
    this.#current.roots.forEach(visit);
    for (const stream of this.#fs.streams) if (stream && this.#fs.isFile(stream.node.mode)) files.add(stream.node);
    let bytes = 0;
    for (const file of files) bytes += (file.contents as Uint8Array).length;
    return bytes;
  }
}
