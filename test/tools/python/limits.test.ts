import { afterAll, beforeAll, expect, test } from 'vitest';
import { noPackages } from '../../../src/tools/packages/store.ts';
import { Control } from '../../../src/tools/python/control.ts';
import { Interpreter } from '../../../src/tools/python/interpreter.ts';
import { PythonPool } from '../../../src/tools/python/pool.ts';

const timeoutMs = 1_200;
const pool = new PythonPool({ timeoutMs, maxOutputChars: 2_000, memoryBytes: 128 * 2 ** 20 });
beforeAll(() => pool.ready());
afterAll(() => pool.close());

test.each([
  [
    'an endless loop',
    'while True: pass',
    'timeout',
    /line 1, in <module>\n(.*\n)*TimeoutError: the code ran for more than 1.2 s/,
  ],
  ['endless output', 'while True: print("x" * 1000)', 'timeout', /characters cut/],
  ['a long sleep', 'import time; time.sleep(100)', 'timeout', /TimeoutError/],
  ['a huge list', '[0] * 10**8', 'exception', /MemoryError/],
  ['memory that only grows', 'y = []\nwhile True: y.append(bytearray(10**6))', 'exception', /MemoryError/],
  ['endless recursion', 'def f(): f()\nf()', 'exception', /RecursionError/],
  [
    'endless recursion without its limit',
    'import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()',
    'exception',
    /RecursionError/,
  ],
])('%s ends within its limit and keeps the session', async (_, code, error, output) => {
  const session = pool.session();
  await session.run('x = 5');
  const result = await session.run(code);
  expect(result.error).toBe(error);
  expect(result.output).toMatch(output);
  expect(result.output.length).toBeLessThanOrEqual(2_000);
  expect((await session.run('x')).output).toBe('5\n');
  await session.close();
});

test('neither few big nor many small files can exceed the quota', async () => {
  const session = pool.session();
  for (const code of [
    'open("a", "wb").write(bytes(40 * 10**6))',
    'for i in range(100): open(str(i), "wb").write(bytes(10**6))',
    'open("b", "wb").truncate(10**9)',
  ]) {
    expect((await session.run(code)).output).toMatch(/OSError.*[Ss]pace/);
  }
  await session.run('import os\nfor name in os.listdir("."): os.remove(name)');
  expect((await session.run('open("a", "wb").write(bytes(10**6))')).output).toBe('1000000\n');
});

test.each([
  ['files', 'for i in range(400): open(str(i) + "x" * 50_000, "w")'],
  ['folders', 'for i in range(400): os.mkdir(str(i) + "x" * 50_000)'],
  ['long names', 'for i in range(100): open(str(i) + "x" * 10**6, "w")'],
  ['long links', 'for i in range(100): os.symlink("x" * 10**6, str(i))'],
  ['names that became long', 'for i in range(100): open("a", "w").close(); os.rename("a", str(i) + "x" * 10**6)'],
])('many %s count as well', async (_, code) => {
  const session = pool.session();
  expect((await session.run(`import os\n${code}`)).output).toMatch(/OSError.*[Ss]pace/);
  expect((await session.run('len(os.listdir()) > 10')).output).toBe('True\n');
  await session.close();
});

test('the files of sessions that wait count as what is kept of them', async () => {
  const interpreter = await Interpreter.load({
    memoryBytes: 128 * 2 ** 20,
    savedBytes: 50 * 2 ** 20,
    maxOutputChars: 100,
    timeoutMs: 5_000,
    packages: noPackages,
    control: new Control(),
  });
  for (let session = 0; session < 5; session++) interpreter.run(session, 'open("a", "wb").write(bytes(20 * 10**6))');
  expect([0, 1, 3, 4].map(session => interpreter.has(session))).toEqual([false, false, true, true]);
  expect(interpreter.run(3, 'import os; os.path.getsize("a")').output).toBe('20000000\n');
});

test('sleep takes no time, and counts', async () => {
  const session = pool.session();
  const began = performance.now();
  await session.run('import time; start = time.time()');
  for (let i = 0; i < 20; i++) expect(await session.run('time.sleep(1)')).toEqual({ output: '' });
  expect((await session.run('20 <= time.time() - start < 30')).output).toBe('True\n');
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(await session.run('time.sleep(3600)\nprint("awake")')).toMatchObject({
    error: 'timeout',
    output: expect.stringMatching(/line 1, in <module>\n(.*\n)*TimeoutError/),
  });
  await session.close();
});

test('code that does not heed its end has run out of time, however it goes on', async () => {
  const session = pool.session();
  const result = await session.run('try:\n  while True: pass\nexcept BaseException: print("well done")');
  expect(result).toEqual({
    error: 'timeout',
    output: 'well done\nTimeoutError: the code ran for more than 1.2 s and was stopped\n',
  });
  expect(await session.run('raise KeyboardInterrupt')).toMatchObject({
    error: 'exception',
    output: expect.stringContaining('KeyboardInterrupt'),
  });
  await session.close();
});

test('when an interpreter must be killed, all its sessions go on as they were', async () => {
  const [a, b] = [pool.session(), pool.session()];
  await b.run('import random\nr = [random.random()]');
  await b.run('r.append(random.random()); 1 / 0');
  await b.run('print("not shown again")');
  const before = await b.run('r');
  await a.run('x = 5');
  // Neither heeds the interrupt.
  expect(await a.run('sum(range(10**13))')).toMatchObject({ error: 'timeout' });
  expect(await b.run('r')).toEqual(before);
  expect((await a.run('x')).output).toBe('5\n');
});

test('an abort stops the code and rejects with its reason', async () => {
  const session = pool.session();
  await session.run('x = 5');
  const abort = new AbortController();
  const running = session.run('while True: pass', abort.signal);
  const waiting = pool.session().run('1', abort.signal);
  abort.abort(new Error('stopped by hand'));
  await Promise.all([running, waiting].map(result => expect(result).rejects.toThrow('stopped by hand')));
  expect((await session.run('x')).output).toBe('5\n');
});

test('an interpreter that has served its time gets a successor, and its sessions can end in peace', async () => {
  const short = new PythonPool({ sessionsPerInterpreter: 2 });
  const sessions = [short.session(), short.session(), short.session()];
  for (const [i, session] of sessions.entries()) await session.run(`x = ${i}`);
  for (const [i, session] of sessions.entries()) expect((await session.run('x')).output).toBe(`${i}\n`);
  for (const session of sessions) await session.close();
  await short.close();
  await expect(short.session().run('1')).rejects.toThrow('closed');
});
