/**
 * What Python may ask of its host. Everything an interpreter compiled to WebAssembly can do passes through the
 * functions it imports, so the sandbox is a list of those: once locked, any other import fails. Nothing inside
 * the interpreter's memory, hostile native code included, can get around it.
 */

import type { Control } from './control.ts';
import { type Import, type Imports, type Instance, webAssembly } from './webAssembly.ts';

/** WASI and Linux error numbers, as the compiled C library has them. */
const EAI_NONAME = -2;
const ENOSYS = 52;
/** Where C's broken-down time says whether it is of the summer; how far it is from UTC follows. Both have four bytes. */
const TM_ISDST = 32;
const UTC = new TextEncoder().encode('UTC\0');

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
  ...['__syscall_fstatfs64', '__syscall_fadvise64', '__syscall_fallocate', 'environ_get', 'environ_sizes_get'],
  '_emscripten_get_progname',
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

/** What of a session lies outside of the interpreter's memory and files: with it both sequences can be left and resumed. */
export interface Drawn {
  /** Random bytes. */
  bytes: number;
  /** Milliseconds that its clocks are ahead, for what it slept. */
  sleptMs: number;
}

export interface Boundary {
  instance: Instance;
  /** From now on only what is allowed works. */
  lock(): void;
  drawn: Drawn;
  /** The next random bytes. */
  randomize(target: Uint8Array): void;
}

export interface BoundaryOptions {
  /** Limit of the interpreter's linear memory. */
  memoryBytes: number;
  /** What it has from the start, where that is more than the interpreter's own. */
  initialBytes?: number;
  control: Control;
}

const WASM_PAGE = 65_536;

/** How far a glance at the waiting clock sets the clocks forward. */
const NAP_MS = 0.5;

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
    growTo(options.initialBytes ?? 0, enclosing.instance);
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

function growTo(bytes: number, { exports: { memory } }: Instance): void {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / WASM_PAGE));
}

/** The imports behind the boundary, and the boundary, which still lacks its instance. */
function enclose(module: object, imports: Imports, options: BoundaryOptions): [Imports, Boundary] {
  let locked = false;
  const boundary = {
    lock: () => {
      locked = true;
    },
    drawn: { bytes: 0, sleptMs: 0 },
    randomize: target => {
      for (let i = 0; i < target.length; i++) target[i] = randomByte(boundary.drawn.bytes++);
    },
  } as Boundary;
  const memory = () => boundary.instance.exports.memory.buffer;
  const { emscripten_date_now: today } = imports.env as Record<string, () => number>;
  const time = imports.wasi_snapshot_preview1.clock_time_get as (
    clock: number,
    precision: bigint,
    to: number,
  ) => number;
  const { _gmtime_js: toUniversal, _timegm_js: fromUniversal } = imports.env as Record<
    string,
    (...args: unknown[]) => bigint
  >;
  const universal = (time: bigint, to: number) => {
    toUniversal(time, to);
    new DataView(memory()).setBigInt64((to >>> 0) + TM_ISDST, 0n, true);
  };
  const grow = imports.env.emscripten_resize_heap as (bytes: number) => unknown;
  const replaced: Record<string, Import> = {
    emscripten_resize_heap: (bytes: number) => bytes >>> 0 <= options.memoryBytes && grow(bytes),
    // The original reads and clears in two steps, between which a signal can be lost.
    _Py_CheckEmscriptenSignals_Helper: () => options.control.takeSignal(),
    random_get: (address: number, bytes: number) => {
      boundary.randomize(new Uint8Array(memory(), address >>> 0, bytes));
      return 0;
    },
    // Only what waits asks this clock, over and over until its time has come. There is nothing to wait for: time passes at
    // once, and counts as used. Of the time that really passes it knows nothing, or less would count on a busy machine.
    emscripten_get_now: () => {
      boundary.drawn.sleptMs += NAP_MS;
      options.control.addSleep(NAP_MS);
      return boundary.drawn.sleptMs;
    },
    emscripten_date_now: () => today() + boundary.drawn.sleptMs,
    clock_time_get: (clock: number, precision: bigint, to: number) => {
      const error = time(clock, precision, to);
      if (error !== 0) return error;
      const view = new DataView(memory());
      const nanoseconds = view.getBigInt64(to >>> 0, true) + BigInt(boundary.drawn.sleptMs * 1e6);
      view.setBigInt64(to >>> 0, nanoseconds, true);
      return 0;
    },
    // Where the host stands must not show in what code computes: the time zone is UTC.
    _tzset_js: (offset: number, daylight: number, standardName: number, daylightName: number) => {
      const view = new DataView(memory());
      for (const number of [offset, daylight]) view.setInt32(number >>> 0, 0, true);
      for (const name of [standardName, daylightName]) new Uint8Array(memory()).set(UTC, name >>> 0);
    },
    _localtime_js: (time: bigint, to: number) => universal(time, to),
    _mktime_js: (of: number) => {
      const time = fromUniversal(of);
      universal(time, of);
      return time;
    },
    // Whose process this is, and what it gives its files, is the host's affair.
    __syscall_getuid32_js: () => 0,
    __syscall_umask_js: () => 0,
  };
  const behind = (name: string, original: Import): Import => {
    const guarded = (...args: never[]) => (locked ? refuse(name) : original(...args));
    return replaced[name] ?? (allowed.has(name) ? original : guarded);
  };
  const enclosed: Imports = { ...imports, env: {}, wasi_snapshot_preview1: {} };
  for (const { module: space, name, kind } of webAssembly.Module.imports(module)) {
    if (kind !== 'function' || space.startsWith('GOT')) continue;
    enclosed[space][name] = behind(name, imports[space][name]);
  }
  // The compiled code of packages finds the host's functions here when it is loaded, which its linker knows by their properties.
  for (const [name, original] of Object.entries(imports.env)) {
    if (typeof original === 'function') imports.env[name] = Object.assign(behind(name, original), original);
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
