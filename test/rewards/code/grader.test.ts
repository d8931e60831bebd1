import { afterAll, expect, test } from 'vitest';
import { CodeGrader } from '../../../src/rewards/code/grader.ts';

const memoryBytes = 128 * 2 ** 20;
const grader = new CodeGrader({ timeoutMs: 1500, memoryBytes });
/** For programs that do not end. */
const impatient = new CodeGrader({ timeoutMs: 400, memoryBytes });
afterAll(() => Promise.all([grader.close(), impatient.close()]));

const block = (code: string) => `So I submit:\n\`\`\`python\n${code}\n\`\`\``;
const sum = { inputs: ['1 2\n', '10 -4 5\n', '7'], outputs: ['3\n', '11\n', '7.0'] };
const twice = { inputs: ['[1, 2]\n2', '[]\n3'], outputs: ['[2, 4]', '[]'], fnName: 'times' };

test.each([
  'print(sum(map(int, input().split())))',
  'import sys\nprint(sum(int(word) for word in sys.stdin.read().split()))',
  'import sys\nfor line in sys.stdin: print(sum(map(int, line.split())))',
  'import sys\nprint(sum(map(int, sys.stdin.buffer.readline().split())))',
  'print(sum(map(int, open(0).read().split())))',
  'import os\nprint(sum(map(int, os.read(0, 1000).split())))',
  'def main():\n    print(sum(map(int, input().split())))\nif __name__ == "__main__":\n    main()',
  'import sys\nprint(sum(map(int, input().split())))\nsys.exit(0)',
  'from __future__ import annotations\nprint(reduce(lambda a, b: a + b, map(int, input().split())))',
  'import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 27)\ndef add(words, n):\n    return 0 if n > 20000 else (int(words[n]) if n < len(words) else 0) + add(words, n + 1)\nthread = threading.Thread(target=lambda: print(add(input().split(), 0)))\nthread.start()\nthread.join()',
  'import sys\nsys.stderr.write("to be ignored")\nsys.stdout.write(str(sum(map(int, input().split()))))\n1 + 1',
])('is right: %s', async code => {
  expect(await grader.grade(block(code), sum)).toEqual({
    score: 1,
    correct: true,
    verdicts: ['passed', 'passed', 'passed'],
  });
});

test.each([
  ['no block', 'print(3)'],
  ['a syntax error', block('print(3')],
  ['a block that is not closed', '```python\nprint(3)'],
])('%s is no program', async (_, answer) => {
  expect(await grader.grade(answer, sum)).toEqual({ score: -1, correct: false, verdicts: [] });
});

test.each([
  ['wrong', 'print(int(input().split()[0]) + 2)', ['passed', 'wrong', 'wrong']],
  ['error', 'a, b = input().split()\nprint(int(a) + int(b))', ['passed', 'error', 'error']],
  ['error', 'import sys\nprint(sum(map(int, input().split())))\nsys.exit(1)', ['error', 'error', 'error']],
  ['error', 'x = [0] * 10**9\nprint(3)', ['error', 'error', 'error']],
  ['error', 'import os\nprint(3, flush=True)\nos._exit(0)', ['error', 'error', 'error']],
  ['error', 'import subprocess\nprint(subprocess.run(["echo", "3"]))', ['error', 'error', 'error']],
  ['error', 'open("/etc/passwd")\nprint(3)', ['error', 'error', 'error']],
  ['wrong', 'print("3" * 2 ** 25)', ['wrong', 'wrong', 'wrong']],
])('what is %s is told: %s', async (_, code, verdicts) => {
  const score = await grader.grade(block(code), sum);
  expect(score.verdicts).toEqual(verdicts);
  expect(score.score).toBeCloseTo(verdicts.filter(verdict => verdict === 'passed').length / 3, 12);
  expect(score.correct).toBe(false);
});

test.each(['while True: pass', 'while True: print("x" * 1000)', 'import re\nre.match("(a+)+$", "a" * 40 + "b")'])(
  'what does not end is stopped: %s',
  async code => {
    const verdicts = ['timeout', 'timeout', 'timeout'];
    expect(await impatient.grade(block(code), sum)).toEqual({ score: 0, correct: false, verdicts });
  },
);

test.each([
  'def times(values, n): return [n * value for value in values]',
  'class Solution:\n    def times(self, values: List[int], n: int) -> List[int]:\n        return [n * value for value in values]',
  'class Solution:\n    pass\ndef times(values, n):\n    print("to be ignored")\n    values[:] = [n * value for value in values]\n    return tuple(values)',
  'import json\njson.dumps = lambda value: "cheat"\nprint = None\ndef times(values, n): return [float(n * value) for value in values]',
])('a function is called: %s', async code => {
  expect(await grader.grade(block(code), twice)).toMatchObject({ score: 1, verdicts: ['passed', 'passed'] });
});

test.each([
  ['a function of another name', 'def time(values, n): return values', ['error', 'error']],
  [
    'a result that is equal to everything',
    'class Any(list):\n    def __eq__(self, other): return True\ndef times(values, n): return Any([0])',
    ['wrong', 'wrong'],
  ],
  ['a result that is no JSON', 'def times(values, n): return {1, 2}', ['error', 'error']],
  ['a tuple in a list', 'def times(values, n): return [(2, 4)]', ['error', 'error']],
  [
    'a program that looks for the outputs',
    'def times(values, n): return [value for value in globals().values() if value == [2, 4]][0]',
    ['error', 'error'],
  ],
])('%s is not right', async (_, code, verdicts) => {
  expect((await grader.grade(block(code), twice)).verdicts).toEqual(verdicts);
});

test('integers may have as many digits as LiveCodeBench allows, in source, input and output', async () => {
  const nines = '9'.repeat(20_000);
  const one = { inputs: [`${nines}\n`], outputs: [`1${'0'.repeat(20_000)}\n`] };
  expect((await grader.grade(block('print(int(input()) + 1)'), one)).verdicts).toEqual(['passed']);
  expect((await grader.grade(block(`print(${nines} + 1)`), one)).verdicts).toEqual(['passed']);
  expect((await grader.grade(block('print(10 ** 60_000)'), one)).verdicts).toEqual(['error']);
  const function_ = { inputs: [nines], outputs: [`1${'0'.repeat(20_000)}`], fnName: 'next' };
  expect((await grader.grade(block('def next(n): return n + 1'), function_)).verdicts).toEqual(['passed']);
});

test.each([
  ['error', 'import sys\nsys._getframe(1).f_locals["ending"] = "passed"\nraise ValueError'],
  ['error', 'raise KeyboardInterrupt'],
  ['error', 'import signal\nsignal.raise_signal(signal.SIGINT)'],
  ['error', 'import sys\nsys._getframe(1).f_locals["ending"] = "stopped"\nraise ValueError'],
  ['error', 'import sys\nsys._getframe(1).f_locals["ending"] = {"timeout": 1}\nraise ValueError'],
  ['timeout', 'try:\n    while True: pass\nexcept BaseException: print(3)'],
  ['timeout', 'import time\ntry: time.sleep(10)\nexcept BaseException: pass\nprint(3)'],
])('a program does not choose how its end is called: %s', async (verdict, code) => {
  const one = { inputs: [''], outputs: ['3'] };
  expect((await impatient.grade(block(code), one)).verdicts).toEqual([verdict]);
});

test('a runaway program does no harm to its neighbours, and none to the next', async () => {
  const right = block('print(sum(map(int, input().split())))');
  const deaf = block('while True:\n    try:\n        while True: pass\n    except BaseException: pass');
  const crash = block('import os\nos.abort()');
  const scores = await Promise.all(
    [right, deaf, right, crash, right].map(answer => impatient.grade(answer, sum, { untilFailure: true })),
  );
  expect(scores.map(({ verdicts }) => verdicts[0])).toEqual(['passed', 'timeout', 'passed', 'error', 'passed']);
  expect(scores.map(({ correct }) => correct)).toEqual([true, false, true, false, true]);
  expect(scores[1].verdicts).toEqual(['timeout', 'skipped', 'skipped']);
});

test('what has run out of time three times is not run again', async () => {
  const many = { inputs: Array(9).fill('1'), outputs: Array(9).fill('1') };
  const { verdicts, score } = await impatient.grade(block('if True:\n    while True: pass'), many);
  expect(verdicts).toEqual([...Array(3).fill('timeout'), ...Array(6).fill('skipped')]);
  expect(score).toBe(0);
});

test('nothing is left of a program for the next', async () => {
  const leave = block(
    'import builtins, os, sys\nbuiltins.left = 1\nopen("left", "w").write("1")\nos.environ["LEFT"] = "1"\nprint(1)',
  );
  const look = block(
    'import builtins, os\nprint(int(hasattr(builtins, "left") or os.path.exists("left") or "LEFT" in os.environ))',
  );
  const one = { inputs: ['', ''], outputs: ['1', '1'] };
  expect((await grader.grade(leave, one)).score).toBe(1);
  expect((await grader.grade(look, one)).score).toBe(0);
});

test('closed, it leaves no thread', async () => {
  const threads = () => process.getActiveResourcesInfo().filter(name => name === 'MessagePort').length;
  const before = threads();
  const own = new CodeGrader({ workers: 2 });
  const running = own.grade(block('while True: pass'), sum).catch(() => undefined);
  await own.grade(block('print(3)'), sum);
  await own.close();
  await running;
  expect(threads()).toBe(before);
});
