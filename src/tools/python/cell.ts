/** Modules that are loaded once, so that importing them costs a session nothing. */
const preloaded = [
  ...['array', 'bisect', 'calendar', 'cmath', 'collections', 'contextlib', 'copy', 'csv', 'dataclasses', 'datetime'],
  ...['decimal', 'enum', 'fractions', 'functools', 'hashlib', 'heapq', 'io', 'itertools', 'json', 'math', 'numbers'],
  ...['operator', 'os', 'pprint', 'queue', 'random', 're', 'secrets', 'statistics', 'string', 'sys', 'textwrap'],
  ...['threading', 'time', 'traceback', 'types', 'typing', 'unicodedata', 'uuid'],
  // A traceback imports these for what it suggests.
  ...['_suggestions', 'difflib'],
  // What the code below needs itself.
  ...['ast', 'builtins', 'gc', 'importlib', 'linecache', 'signal'],
];

/**
 * What every interpreter has loaded before anything else, and modules of packages beside: it takes seconds, once, and is kept
 * in its memory's snapshot. A module that cannot be imported is for the code that wants it to see.
 */
export const preparation = (modules: readonly string[] = []) => `
def _prepare():
    import gc, importlib, sys
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    for name in ${JSON.stringify(preloaded)}:
        importlib.import_module(name)
    for name in ${JSON.stringify(modules)}:
        try:
            importlib.import_module(name)
        except MemoryError:
            raise
        except Exception:
            pass
    sys.dont_write_bytecode = False
    gc.collect()
    gc.freeze()

_prepare()
del _prepare
`;

/**
 * The Python side: defines and returns `run(source, limit, is_program)`, which runs code in `__main__` and returns 'ok',
 * 'exception' or 'stopped'. A cell runs as in a notebook: the value of a final expression is shown. A program runs as from
 * a file. `limit` words a time-out. All this is within reach of the code that it runs: it may lie.
 */
export const bootstrap = `
def _bootstrap():
    import ast, builtins, gc, linecache, os, random, signal, sys, threading, time, traceback

    # Nothing of the host is offered. This is a courtesy to honest code; what keeps the rest in is the boundary.
    hidden = ('js', 'pyodide', 'pyodide_js', '_pyodide', '_pyodide_core', 'micropip', 'ctypes', '_ctypes')

    class Hidden:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.partition('.')[0] in hidden:
                raise ModuleNotFoundError(f'No module named {name!r}', name=name)

    sys.meta_path[:] = [Hidden] + [finder for finder in sys.meta_path if 'pyodide' not in type(finder).__module__]
    for name in [name for name in sys.modules if name.partition('.')[0] in hidden]:
        del sys.modules[name]
    os.environ.clear()
    os.environ.update({'HOME': os.getcwd(), 'USER': 'user', 'PATH': '/', 'LANG': 'C.UTF-8'})
    sys.argv[:] = ['']
    sys.executable = ''
    sys.path[:] = [''] + [path for path in sys.path if path]
    sys.stdout.reconfigure(line_buffering=True, errors='replace')
    sys.stderr.reconfigure(line_buffering=True, errors='replace')

    # Python frames beyond this overflow the host's stack, which nothing survives.
    set_limit = sys.setrecursionlimit
    sys.setrecursionlimit = lambda limit: set_limit(min(limit, 100_000))

    # A sleep in one piece would not heed the interrupt. Its pieces are those that it asks for, not those that the clock leaves: on a
    # busy machine fewer would be counted.
    nap = time.sleep

    def sleep(seconds):
        nap(0 if seconds >= 0 else seconds)
        while seconds > 0:
            nap(min(seconds, 0.01))
            seconds -= 0.01

    time.sleep = sleep

    main = sys.modules['__main__'].__dict__
    for name in [name for name in main if not name.startswith('__')]:
        del main[name]
    main['__builtins__'] = builtins
    random.seed(0)

    def only_cells(report, seen):
        if report is None or id(report) in seen:
            return
        seen.add(id(report))
        if report.stack is not None:
            frames = [frame for frame in report.stack if frame.filename == '<code>']
            report.stack[:] = frames
            if not frames:
                report.stack = None
        only_cells(report.__cause__, seen)
        only_cells(report.__context__, seen)
        for child in report.exceptions or ():
            only_cells(child, seen)

    def show(error):
        report = traceback.TracebackException(type(error), error, error.__traceback__, limit=-2000, compact=True)
        only_cells(report, set())
        sys.stdout.write(''.join(report.format()))

    def compile_code(source, is_program):
        tree = compile(source, '<code>', 'exec', ast.PyCF_ONLY_AST)
        last = None
        if not is_program and tree.body and isinstance(tree.body[-1], ast.Expr):
            last = ast.Expression(tree.body.pop().value)
        codes = [compile(tree, '<code>', 'exec'), last and compile(last, '<code>', 'eval')]
        for code in codes:
            if code:
                linecache._register_code(code, source, '<code>')
        return codes

    # There are no threads. Many programs have a single one, for its larger stack, and wait for it: it runs at once.
    def start_now(thread):
        thread.run()

    def as_program():
        threading.Thread.start = start_now
        threading.Thread.join = lambda thread, timeout=None: None
        threading.Thread.is_alive = lambda thread: False
        threading.stack_size = lambda size=0: 0
        sys.stdout.reconfigure(line_buffering=False)

    # Told from a KeyboardInterrupt that code raises by itself.
    class Stop(KeyboardInterrupt):
        pass

    def stop(signum, frame):
        raise Stop

    signal.signal(signal.SIGINT, stop)

    # What code leaves of its streams and builtins may fail in any way: an error that left here would end the interpreter.
    type_of, text = type, str

    def attempt(action):
        try:
            action()
        except BaseException:
            pass

    def run(source, limit, is_program):
        ending = 'exception'
        try:
            try:
                if is_program:
                    as_program()
                body, last = compile_code(source, is_program)
                exec(body, main)
                value = last and eval(last, main)
                if value is not None:
                    print(repr(value))
                ending = 'ok'
            except SystemExit as end:
                if end.code is None or end.code == 0:
                    ending = 'ok'
                else:
                    print(f'SystemExit: {end.code}')
            except Stop as end:
                ending = 'stopped'
                show(TimeoutError(limit).with_traceback(end.__traceback__))
            except BaseException as error:
                show(error)
        except Stop:
            ending = 'stopped'
            attempt(lambda: print(f'TimeoutError: {limit}'))
        except BaseException as error:
            attempt(lambda error=error: print(type_of(error).__name__))
        attempt(lambda: sys.stderr.flush())
        attempt(lambda: sys.stdout.flush())
        return ending if type_of(ending) is text else 'exception'

    # What is made at a first use is made here, or each session would make it again.
    for source in ('1', '+'):
        run(source, '', False)
    gc.collect()
    gc.freeze()
    return run

_bootstrap()
`;
