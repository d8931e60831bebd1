/** The return code of `cell` where the code that it ran has failed, and that is told in its output. */
export const cellFailed = 1;

/**
 * Threads of the system's own size would each take all the memory that a program may have, where the server limits that, and none
 * could start.
 */
export const smallStacks = 'import threading\nthreading.stack_size(2 ** 23)\n';

/**
 * A program that runs the code on its standard input as a cell of a notebook: the value of a final expression is shown, and of a
 * traceback what is the code's own, wherever the server keeps its files. For Python 3.10 and newer.
 */
export const cell = `${smallStacks}
def _cell():
    import ast, linecache, random, sys, traceback

    main = sys.modules['__main__'].__dict__
    for name in ('_cell', 'threading', '__file__'):
        main.pop(name, None)
    sys.stdin.reconfigure(encoding='utf-8')
    sys.stdout.reconfigure(encoding='utf-8', errors='replace', line_buffering=True)
    sys.stderr = sys.stdout
    sys.argv[:] = ['']
    random.seed(0)
    source = sys.stdin.read()
    linecache.cache['<code>'] = (len(source), None, source.splitlines(True), '<code>')

    def only_own(report):
        if report is None:
            return
        report.stack[:] = [frame for frame in report.stack if frame.filename == '<code>']
        if not report.stack:
            report.stack = None
        for inner in (report.__cause__, report.__context__, *(getattr(report, 'exceptions', None) or ())):
            only_own(inner)

    try:
        tree = compile(source, '<code>', 'exec', ast.PyCF_ONLY_AST)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, '<code>', 'exec'), main)
        value = last and eval(compile(ast.Expression(last.value), '<code>', 'eval'), main)
        if value is not None:
            print(repr(value))
    except SystemExit as end:
        if end.code is None or end.code == 0:
            return 0
        print(f'SystemExit: {end.code}')
    except BaseException as error:
        # Its first frame is this one.
        report = traceback.TracebackException(type(error), error, error.__traceback__.tb_next)
        only_own(report)
        sys.stdout.write(''.join(report.format()))
    else:
        return 0
    return ${cellFailed}

raise SystemExit(_cell())
`;
