import { afterAll, beforeAll, expect, test } from 'vitest';
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
