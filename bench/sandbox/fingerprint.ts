/**
 * Python that shows all of an interpreter that a session can see and another could have changed: descriptors and their
 * flags, files and devices with modes and times, environment, modules, codecs, limits, chance, memory.
 */
export const fingerprint = `
def look():
    import _thread, builtins, codecs, decimal, errno, fcntl, gc, io, json, locale, logging, os, random, re, signal, socket
    import stat, sys, threading, time, traceback, types, uuid, warnings

    def tried(call, *arguments):
        try:
            return call(*arguments)
        except BaseException as error:
            return f'{type(error).__name__}: {error}'

    def descriptor(fd):
        state = os.fstat(fd)
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        return stat.filemode(state.st_mode), state.st_ino, state.st_rdev, flags, os.isatty(fd), tried(os.lseek, fd, 0, 1)

    def node(path):
        state = os.lstat(path)
        own = path.startswith(('/home/user', '/tmp', '/proc/self/fd'))
        times = None if own else (state.st_atime_ns, state.st_mtime_ns, state.st_ctime_ns)
        return path, stat.filemode(state.st_mode), state.st_ino, state.st_size, state.st_rdev, times

    def read(path):
        with open(path, 'rb', buffering=0) as file:
            return file.read(8)

    yield 'memory', id(object()), sys.getallocatedblocks(), len(gc.get_objects()), hash('a')
    yield 'descriptors', [tried(descriptor, fd) for fd in range(32)]
    paths = [os.path.join(folder, name) for folder, folders, files in os.walk('/') for name in folders + files]
    yield 'files', [tried(node, path) for path in paths]
    yield 'devices', [tried(read, f'/dev/{name}') for name in ('null', 'tty', 'tty1', 'stdin', 'random', 'urandom')]
    yield 'space', os.statvfs('/'), os.statvfs('.')
    yield 'process', os.getcwd(), os.getpid(), os.getuid(), os.umask(0o22), dict(os.environ), time.tzname
    yield 'chance', os.urandom(8), random.random(), uuid.uuid4(), list({'a', 'b', 'c', 'd'})
    yield 'input', tried(input), tried(os.read, 0, 1), tried(sys.stdin.read)
    yield 'streams', [
        (file.name, file.mode, file.encoding, file.errors, file.line_buffering, file.newlines, file.closed)
        for file in (sys.stdin, sys.stdout, sys.stderr)
    ], [a is b for a, b in ((sys.stdin, sys.__stdin__), (sys.stdout, sys.__stdout__), (sys.stderr, sys.__stderr__))]
    yield 'modules', sorted(sys.modules), sys.path, sys.argv, sys.executable, len(sys.path_hooks), len(sys.meta_path)
    yield 'hooks', [hook.__name__ for hook in (sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook)]
    yield 'traces', sys.gettrace(), sys.getprofile(), threading.gettrace(), sys.get_asyncgen_hooks()
    yield 'limits', sys.getrecursionlimit(), sys.getswitchinterval(), sys.get_int_max_str_digits(), sys.flags
    yield 'collector', gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.callbacks, gc.get_freeze_count()
    yield 'codecs', sys.getdefaultencoding(), sys.getfilesystemencoding(), tried(codecs.lookup, 'own'), [
        tried(codecs.lookup_error, name) for name in ('own', 'surprise')
    ], '\\u00e9'.encode('utf-8'), tried('\\u00e9'.encode, 'ascii')
    yield 'locale', locale.setlocale(locale.LC_ALL), locale.localeconv()
    yield 'decimal', decimal.getcontext(), decimal.DefaultContext, 1 / decimal.Decimal(3)
    yield 'warnings', warnings.filters, warnings.showwarning.__module__
    yield 'signals', [tried(lambda: getattr(signal.getsignal(n), '__name__', n)) for n in range(1, 32)]
    yield 'threads', threading.active_count(), threading.current_thread().name, tried(threading.stack_size)
    yield 'network', socket.getdefaulttimeout(), tried(socket.gethostname)
    yield 'loggers', logging.root.level, len(logging.root.handlers), sorted(logging.root.manager.loggerDict)
    yield 'builtins', sorted(vars(builtins)), [vars(builtins)[name].__module__ for name in ('print', 'len', 'open', 'type')]
    yield 'main', sorted(name for name in globals() if name != 'look')
    yield 'library', json.dumps([1]), re.sub('a', 'b', 'a'), sorted([2, 1]), io.StringIO('x').read(), sum([1, 2]), 7 // 2
    yield 'classes', len(object.__subclasses__()), sorted(vars(types.FunctionType)), sorted(vars(int)), list[int]
    yield 'error', tried(compile, '1 +', '', 'eval'), tried(int, 'x'), tried(lambda: traceback.format_exc())
    yield 'decoding', '\\u00e9\\u6f22\\U0001f642'

for part in look():
    print(*part)
`;
