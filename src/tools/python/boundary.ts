/**
 * What Python may ask of its host. Everything an interpreter compiled to WebAssembly can do passes through the
 * functions it imports, so the sandbox is a list of those: once locked, any other import fails. Nothing inside
 * the interpreter's memory, hostile native code included, can get around it.
 */

import { type Import, type Imports, type Instance, webAssembly } from './webAssembly.ts';

/** WASI and Linux error numbers, as the compiled C library has them. */
const EAI_NONAME = -2;
const ENOSYS = 52;

const allowed = new Set([
  // Entering the interpreter: a string in, a string out.
  ...['js2python_js', 'JsvArray_Get', '_python2js_ascii', '_python2js_ucs1', '_python2js_ucs2', '_python2js_ucs4'],
  ...['JsvError_Check', 'JsvNoValue_Check', '_PyEM_TrampolineCall_JS'],
  ...['__call_sighandler', 'emscripten_runtime_keepalive_push', 'emscripten_runtime_keepalive_pop'],
  // Clocks.
  ...['clock_res_get', 'clock_time_get', 'emscripten_date_now', 'emscripten_get_now', '_tzset_js', '_timegm_js'],
  ...['_mktime_js', '_localtime_js', '_gmtime_js'],
  // Memory.
  ...['emscripten_get_heap_max', '_mmap_js', '_munmap_js', '_msync_js'],
  // Files, which live in memory.
  ...['fd_close', 'fd_read', 'fd_write', 'fd_pread', 'fd_pwrite', 'fd_seek', 'fd_sync', 'fd_fdstat_get'],
  ...['__syscall_openat', '__syscall_fcntl64', '__syscall_ioctl', '__syscall_faccessat', '__syscall_chdir'],
  ...['__syscall_fchdir', '__syscall_chmod', '__syscall_fchmod', '__syscall_fchmodat2', '__syscall_dup'],
  ...['__syscall_dup3', '__syscall_fdatasync', '__syscall_fstat64', '__syscall_stat64', '__syscall_lstat64'],
  ...['__syscall_newfstatat', '__syscall_ftruncate64', '__syscall_truncate64', '__syscall_getcwd'],
  ...['__syscall_getdents64', '__syscall_mkdirat', '__syscall_readlinkat', '__syscall_unlinkat', '__syscall_rmdir'],
  ...['__syscall_renameat', '__syscall_symlinkat', '__syscall_utimensat', '__syscall_statfs64'],
  ...['__syscall_fstatfs64', '__syscall_fadvise64', '__syscall_fallocate', '__syscall_umask_js'],
  ...['__syscall_getuid32_js', 'environ_get', 'environ_sizes_get', '_emscripten_get_progname'],
]);

/** Denied functions whose C callers know how to fail; system calls answer ENOSYS, all others end the interpreter. */
const refusals: Record<string, number> = {
  _emscripten_system: -1,
  _setitimer_js: -1,
  _dlopen_js: 0,
  _dlsym_js: 0,
  getaddrinfo: EAI_NONAME,
  getnameinfo: EAI_NONAME,
  getprotobyname: 0,
  can_run_sync_js: 0,
  _try_fcntl64: 0,
  _try_shutdown: 0,
};

export interface Boundary {
  instance: Instance;
  /** From now on only what is allowed works. */
  lock(): void;
  /** How many random bytes were drawn: with it the sequence of them can be left and resumed. */
  draws: number;
}

export interface BoundaryOptions {
  /** Limit of the interpreter's linear memory. */
  memoryBytes: number;
  /** A signal number in its first byte is delivered once. */
  interrupt: SharedArrayBuffer;
}

/** Runs `load`, which instantiates the interpreter, with the interpreter's imports put behind the boundary. */
export async function withBoundary<T>(options: BoundaryOptions, load: () => Promise<T>): Promise<[T, Boundary]> {
  let boundary: Boundary | undefined;
  const { instantiate } = webAssembly;
  webAssembly.instantiate = async (binary, imports) => {
    const module = await webAssembly.compile(binary);
    const isInterpreter = webAssembly.Module.imports(module).some(({ name }) => name === 'emscripten_resize_heap');
    if (!isInterpreter || !imports) return instantiate(binary, imports);
    const [enclosed, enclosing] = enclose(module, imports, options);
    enclosing.instance = (await instantiate(module, enclosed)) as Instance;
    boundary = enclosing;
    return { instance: enclosing.instance, module };
  };
  try {
    const loaded = await load();
    return [loaded, boundary!];
  } finally {
    webAssembly.instantiate = instantiate;
  }
}

/** The imports behind the boundary, and the boundary, which still lacks its instance. */
function enclose(module: object, imports: Imports, options: BoundaryOptions): [Imports, Boundary] {
  const signals = new Uint8Array(options.interrupt);
  let locked = false;
  const boundary = {
    lock: () => {
      locked = true;
    },
    draws: 0,
  } as Boundary;
  const grow = imports.env.emscripten_resize_heap as (bytes: number) => unknown;
  const replaced: Record<string, Import> = {
    emscripten_resize_heap: (bytes: number) => bytes >>> 0 <= options.memoryBytes && grow(bytes),
    // The original reads and clears in two steps, between which a signal can be lost.
    _Py_CheckEmscriptenSignals_Helper: () => Atomics.exchange(signals, 0, 0),
    random_get: (address: number, bytes: number) => {
      const target = new Uint8Array(boundary.instance.exports.memory.buffer, address >>> 0, bytes);
      for (let i = 0; i < bytes; i++) target[i] = randomByte(boundary.draws++);
      return 0;
    },
  };
  const enclosed: Imports = { ...imports, env: {}, wasi_snapshot_preview1: {} };
  for (const { module: space, name, kind } of webAssembly.Module.imports(module)) {
    if (kind !== 'function' || space.startsWith('GOT')) continue;
    const original = imports[space][name];
    const guarded = (...args: never[]) => (locked ? refuse(name) : original(...args));
    enclosed[space][name] = replaced[name] ?? (allowed.has(name) ? original : guarded);
  }
  return [enclosed, boundary];
}

function refuse(name: string): number {
  if (name in refusals) return refusals[name];
  if (name.startsWith('__syscall_')) return -ENOSYS;
  throw new Error(`${name} is not available`);
}

/** The index-th byte of a fixed random sequence: a counter through MurmurHash3's finalizer. */
function randomByte(index: number): number {
  let h = Math.imul(index + 1, 0x9e3779b9);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) & 0xff;
}
