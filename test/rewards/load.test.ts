import { type ChildProcess, spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CodeGrader } from '../../src/rewards/code/grader.ts';
import { MathComparer } from '../../src/rewards/equivalence/comparer.ts';

/** Processes that compute and do nothing else. */
const LOAD = 20;

const comparer = new MathComparer();
const grader = new CodeGrader({ workers: 1, timeoutMs: 400, memoryBytes: 128 * 2 ** 20 });
let busy: ChildProcess[] = [];

beforeAll(async () => {
  await Promise.all([verdictsOnAnswers(), verdictsOnPrograms()]);
});
afterAll(async () => {
  for (const child of busy) child.kill('SIGKILL');
  await Promise.all([comparer.close(), grader.close()]);
});

const answers: [string, string, boolean][] = [
  ['\\frac{1}{2}', '0.5', true],
  ['2^{10}', '1024', true],
  ['\\sqrt{8}', '2\\sqrt2', true],
  ['(x+1)^2', 'x^2+2x+1', true],
  ['\\{1,2\\}', '\\{2,1\\}', true],
  ['\\frac{1}{3}', '0.3', false],
  ['(1,2)', '(2,1)', false],
];

const programs: [string, string][] = [
  ['print(int(input()) * 2)', 'passed'],
  ['print(sum(i for i in range(20_000)) and 14)', 'passed'],
  ['import time\ntime.sleep(0.2)\nprint(14)', 'passed'],
  ['print(13)', 'wrong'],
  ['import time\ntime.sleep(1)\nprint(14)', 'timeout'],
  ['import time\ntry: time.sleep(1)\nexcept BaseException: pass\nprint(14)', 'timeout'],
];

function verdictsOnAnswers(): Promise<boolean[]> {
  return Promise.all(answers.map(([a, b]) => comparer.equal(a, b)));
}

async function verdictsOnPrograms(): Promise<string[]> {
  const test = { inputs: ['7\n'], outputs: ['14\n'] };
  const scores = programs.map(([code]) => grader.grade(`\`\`\`python\n${code}\n\`\`\``, test));
  return (await Promise.all(scores)).map(({ verdicts }) => verdicts[0]);
}

test('verdicts on answers and programs are the same, whatever runs beside', { timeout: 60_000 }, async () => {
  busy = Array.from({ length: LOAD }, () => spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }));
  await Promise.all(busy.map(child => new Promise(resolve => child.once('spawn', resolve))));
  const [same, verdicts] = await Promise.all([verdictsOnAnswers(), verdictsOnPrograms()]);
  expect(same).toEqual(answers.map(([, , isSame]) => isSame));
  expect(verdicts).toEqual(programs.map(([, verdict]) => verdict));
});
