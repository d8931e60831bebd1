/** What solutions to programming problems take for granted: LiveCodeBench imports these in front of every one. */
const modules = [
  ...['string', 're', 'datetime', 'collections', 'heapq', 'bisect', 'copy', 'math', 'random', 'statistics'],
  ...['itertools', 'functools', 'operator', 'io', 'sys', 'json', 'builtins', 'typing'],
];

/** Integers as long as LiveCodeBench takes them, in source, input and output; Python's own limit is 4,300 digits. */
const liftDigits = 'sys.set_int_max_str_digits(50_000)';

const preamble = [
  ...modules.map(name => `from ${name} import *`),
  `import ${modules.join(', ')}`,
  'sys.setrecursionlimit(50_000)',
  liftDigits,
].join('\n');

/** The solution as it runs, after the usual imports. JSON text is a Python literal. */
function running(code: string): string {
  return `exec(compile(${JSON.stringify(code)}, '<code>', 'exec'), globals())`;
}

/** A program that fails if the code, which it reads, is not valid Python. */
export const syntaxCheck = `import sys\n${liftDigits}\ncompile(sys.stdin.read(), '<code>', 'exec')`;

/** The solution as a program. */
export function programOf(code: string): string {
  return `${preamble}\n${running(code)}`;
}

/**
 * A program that reads arguments, one JSON value a line, calls the solution's function with them and writes the result as
 * JSON in its last line. Of the results only an outer tuple counts as a list.
 */
export function callOf(code: string, functionName: string): string {
  const name = JSON.stringify(functionName);
  return `${preamble}
def _caller(loads, dumps, write, flush, text):
    arguments = [loads(line) for line in text.split('\\n') if line.strip()]

    def is_plain(value):
        if isinstance(value, (list, dict)):
            return all(map(is_plain, value.values() if isinstance(value, dict) else value))
        return not isinstance(value, tuple)

    def call(target):
        result = target(*arguments)
        result = list(result) if isinstance(result, tuple) else result
        if not is_plain(result):
            raise TypeError('the result holds a tuple')
        flush()
        write(1, ('\\n' + dumps(result)).encode())

    return call

import os as _os
_call = _caller(json.loads, json.dumps, _os.write, sys.stdout.flush, sys.stdin.read())
${running(code)}
_call(getattr(Solution(), ${name}) if 'Solution' in globals() and hasattr(Solution, ${name}) else globals()[${name}])`;
}

/**
 * A program that runs the solution between its prefix and a check of it, and writes what it reads in its last line if all have
 * come to their end: a solution that ends the program has not passed.
 */
export function checkOf(code: string, check: string, prefix = ''): string {
  return `${preamble}
def _run(sources, passed, write, flush):
    for source in sources:
        exec(compile(source, '<code>', 'exec'), globals())
    flush()
    write(1, ('\\n' + passed).encode())

import os as _os
_run(${JSON.stringify([prefix, code, check])}, sys.stdin.read(), _os.write, sys.stdout.flush)`;
}
