import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { callTool } from '../../../src/tools/call.ts';
import { PythonPool } from '../../../src/tools/python/pool.ts';
import { pythonTool } from '../../../src/tools/python/tool.ts';

const pool = new PythonPool({ timeoutMs: 1_000, maxOutputChars: 2_000 });
beforeAll(() => pool.ready());
afterAll(() => pool.close());

/** Runs cells in a session of their own; the result of the last one. */
async function run(...cells: string[]) {
  const session = pool.session();
  try {
    let result = { output: '' } as Awaited<ReturnType<typeof session.run>>;
    for (const cell of cells) result = await session.run(cell);
    return result;
  } finally {
    await session.close();
  }
}

describe('a cell', () => {
  test.each([
    ['what it prints', 'print(3*4)', '12\n'],
    ['the value of the final expression', 'x = 5\nx * 2', '10\n'],
    ['its repr', '"a\\n"', "'a\\n'\n"],
    ['nothing for None', 'None', ''],
    ['nothing for a statement', 'x = 1', ''],
    ['stdout and stderr in order', 'import sys\nprint(1)\nprint(2, file=sys.stderr)\nprint(3)', '1\n2\n3\n'],
    ['text beyond ASCII', 'print("π≈3, 漢字, 🙂")', 'π≈3, 漢字, 🙂\n'],
    ['what runs as __main__', 'if __name__ == "__main__": print("yes")', 'yes\n'],
    ['what was printed before exit', 'print(1); exit()', '1\n'],
  ])('shows %s', async (_, code, output) => {
    expect(await run(code)).toEqual({ output });
  });

  test('shows a traceback of its own frames, with the lines of earlier cells as they were', async () => {
    const { output, error } = await run('def half(x):\n    return 1 / x', 'import json\n\n\nhalf(0)');
    expect(error).toBe('exception');
    expect(output).toBe(
      [
        'Traceback (most recent call last):',
        '  File "<code>", line 4, in <module>',
        '    half(0)',
        '    ~~~~^^^',
        '  File "<code>", line 2, in half',
        '    return 1 / x',
        '           ~~^~~',
        'ZeroDivisionError: division by zero',
        '',
      ].join('\n'),
    );
    expect((await run('import json\njson.loads("[")')).output).not.toContain('decoder.py');
  });

  test('shows a syntax error where it is', async () => {
    const { output, error } = await run('x = 1\ny = = 2');
    expect(error).toBe('exception');
    expect(output).toMatch(/^ {2}File "<code>", line 2\n {4}y = = 2\n {8}\^\nSyntaxError: /);
  });

  test.each(['1 +', '1 / 0', 'undefined', '[].appendd', 'import maths'])(
    'finds what its error %s needs there already',
    async code => {
      const { output } = await run('import sys; before = set(sys.modules)', code, 'set(sys.modules) - before');
      expect(output).toBe('set()\n');
    },
  );

  test('has no standard input', async () => {
    expect((await run('input()')).output).toMatch(/EOFError/);
  });
});

describe('a session', () => {
  test('keeps its variables, imports and files between cells', async () => {
    expect(
      (await run('import math\nx = math.tau\nopen("a.txt", "w").write("hi")', 'open("a.txt").read(), x == math.tau'))
        .output,
    ).toBe("('hi', True)\n");
  });

  const drawn =
    'import random, os, uuid\nprint(random.random(), os.urandom(4), uuid.uuid4(), set("hello"), id(object()), random.Random().random())';

  test('starts as every other one: same random numbers, same set order, same ids', async () => {
    const first = await run(drawn);
    expect((await run(drawn)).output).toBe(first.output);
    expect((await run('import random; random.random()', drawn)).output).not.toBe(first.output);
  });

  test('is the same in whichever interpreter it lives', async () => {
    const wide = new PythonPool({ workers: 2 });
    onTestFinished(() => wide.close());
    const sessions = [wide.session(), wide.session()];
    for (const code of [drawn, drawn]) {
      const [here, there] = await Promise.all(sessions.map(session => session.run(code)));
      expect(here.error).toBeUndefined();
      expect(there).toEqual(here);
    }
  });

  test.each([
    ['import math; math.sqrt = lambda x: 42', 'import math; math.sqrt(9)', '3.0\n'],
    ['import builtins; builtins.print = None; builtins.len = lambda x: 7', 'print(len([]))', '0\n'],
    ['import sys; sys.modules["json"] = None; del sys.modules["re"]', 'import json, re; json.dumps(1)', "'1'\n"],
    ['import sys; sys.setrecursionlimit(50)', 'import sys; sys.getrecursionlimit()', '1000\n'],
    ['import math; math.own = 1', 'import math; hasattr(math, "own")', 'False\n'],
    [
      'import os; open("/tmp/a", "w").write("x"); os.mkdir("d"); os.chdir("d")',
      'import os; os.listdir("."), os.listdir("/tmp"), os.getcwd()',
      "([], [], '/home/user')\n",
    ],
    ['import os; os.environ["KEY"] = "1"', 'import os; "KEY" in os.environ', 'False\n'],
    ['import sys, os; sys.stdout.close(); os.close(1)', 'print("heard")', 'heard\n'],
    [
      'import sys; sys.stdout = None; sys.path.clear(); sys.meta_path.clear()',
      'import wave; print(wave.__name__)',
      'wave\n',
    ],
    [
      'import gc, collections; gc.disable(); collections.OrderedDict.__init_subclass__ = 1; int.__doc__',
      'import gc; gc.isenabled()',
      'True\n',
    ],
    [
      'import decimal; decimal.getcontext().prec = 3',
      'import decimal; decimal.Decimal(1) / 3',
      "Decimal('0.3333333333333333333333333333')\n",
    ],
    ['import warnings, locale; warnings.simplefilter("error"); x = [0] * 10**7', 'x', /NameError/],
    ['for o in __import__("gc").get_objects():\n  if isinstance(o, dict): o.pop("sum", None)', 'sum([1, 2])', '3\n'],
  ])('is untouched by what another one did: %s', async (hostile, code, output) => {
    const victim = pool.session();
    const other = pool.session();
    await victim.run('here = "mine"');
    await other.run(hostile);
    expect((await victim.run('here')).output).toBe("'mine'\n");
    expect((await victim.run(code)).output).toMatch(output);
    await Promise.all([victim.close(), other.close()]);
    expect((await run(code)).output).toMatch(output);
  });

  test('is one of many on a single interpreter', async () => {
    const sessions = Array.from({ length: 64 }, () => pool.session());
    await Promise.all(
      sessions.map((session, i) => session.run(`x = ${i}; f = open("own", "w+"); f.write("${i}"); f.flush()`)),
    );
    const results = await Promise.all(sessions.map(session => session.run('f.seek(0); x == int(f.read()), x')));
    expect(results.map(({ output }) => output)).toEqual(sessions.map((_, i) => `(True, ${i})\n`));
    await Promise.all(sessions.map(session => session.close()));
  });
});

describe('a session whose interpreter was lost', () => {
  /** Neither heeds the interrupt nor lets anything of its interpreter live. */
  const deadly = 'import os; os.abort()';

  test('says what of it could not be repeated, once', async () => {
    const [session, neighbour] = [pool.session(), pool.session()];
    const run = async (code: string) => (await session.run(code)).error;
    expect(await run('import os, time; x = 1')).toBeUndefined();
    expect(await run('stopped = 1\nwhile True: pass')).toBe('timeout');
    const soon = Date.now() + 2_500;
    expect(await run(`late = 1; time.time() < ${soon / 1000} or os.abort()`)).toBeUndefined();
    expect(await run(`other = 1 / (time.time() < ${soon / 1000})`)).toBeUndefined();
    expect((await session.run('x, stopped, late, other')).output).toBe('(1, 1, 1, 1.0)\n');
    await new Promise(resolve => setTimeout(resolve, soon + 100 - Date.now()));
    expect((await neighbour.run(deadly)).output).toMatch(/^SystemError.*\nNote: .*what this code had done is undone/);
    const { output } = await session.run('print(x, sorted({"stopped", "late", "other"} & set(globals())))');
    expect(output.split('\n')).toEqual([
      'Note: the interpreter had to be restarted, and what this earlier code had done is lost, wholly or in part:',
      expect.stringMatching(/^ {2}late = 1; /),
      '  stopped = 1 …',
      expect.stringMatching(/^ {2}other = 1 /),
      '  x, stopped, late, other',
      '1 []',
      '',
    ]);
    expect((await session.run('x')).output).toBe('1\n');
  });
});

describe('as a tool', () => {
  test('a traceback is an error observation, and closing the tool ends the session', async () => {
    const tool = pythonTool(pool.session());
    const call = (code: string) => callTool([tool], { name: 'python', arguments: { code } });
    expect(await call('6*7')).toEqual({ observation: '42\n' });
    expect(await call('x')).toMatchObject({ error: 'exception', observation: expect.stringContaining('NameError') });
    expect(await call('while True: pass')).toMatchObject({ error: 'timeout' });
    await tool.close?.();
    expect(await call('1')).toMatchObject({ error: 'exception', observation: expect.stringContaining('closed') });
  });

  test('waiting for its turn, and for the interpreter to start, does not count against its time', async () => {
    const limits = { timeoutMs: 1_000 };
    const busy = new PythonPool(limits);
    const tools = Array.from({ length: 12 }, () => pythonTool(busy.session()));
    const call = { name: 'python', arguments: { code: 'import time; time.sleep(0.15); 6*7' } };
    const results = await Promise.all(tools.map(tool => callTool([tool], call, limits)));
    expect(results).toEqual(tools.map(() => ({ observation: '42\n' })));
    await busy.close();
  });
});
