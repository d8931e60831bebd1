/**
 * Grades many programs against tests, a share of them runaway, and says how fast that is and what is left of it:
 * `npm run bench:code`. No peer takes part: what is asked is that no thread, process or memory is left.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { Command } from 'commander';
import { CodeGrader, type Verdict } from '../src/rewards/code/grader.ts';

const program = new Command('bench:code')
  .description('Grade many code tests and look for leaks.')
  .option('--tests <count>', 'how many in all', Number, 10_000)
  .parse();
const { tests: total } = program.opts<{ tests: number }>();

const testsOfEach = 10;
const timeoutMs = 1000;
const inputs = Array.from({ length: testsOfEach }, (_, i) => `${i}\n${Array(i).fill(i).join(' ')}\n`);
const task = { inputs, outputs: Array.from({ length: testsOfEach }, (_, i) => `${i * i}\n`) };

/** Of 100 programs: most are right, some wrong, some runaway in each way that there is. */
const programs: [share: number, code: string][] = [
  [70, 'n = int(input())\nprint(sum(map(int, input().split())))'],
  [15, 'n = int(input())\nprint(n + n)'],
  [5, 'raise ValueError'],
  [4, 'x = [0] * 10**9'],
  [2, 'print("x" * 10**7)'],
  [2, 'while True: pass'],
  [1, 'import os\nos.abort()'],
  [1, 'while True:\n    try:\n        while True: pass\n    except BaseException: pass'],
];
const cycle = programs.flatMap(([share, code]) => Array<string>(share).fill(code));

const memory = () => `${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`;
const threads = () =>
  spawnSync('ls', [`/proc/${process.pid}/task`], { encoding: 'utf8' }).stdout.split('\n').length - 1;
/** Processes that the grading left; tsx has esbuild, which compiles what is here, and ps is the one that looks. */
const children = () =>
  spawnSync('ps', ['-o', 'comm=', '--ppid', String(process.pid)], { encoding: 'utf8' })
    .stdout.split('\n')
    .filter(name => name && !/^(esbuild|ps\b)/.test(name)).length;

/** One grader, from its start to its end; counts the verdicts. */
async function run(answers: readonly string[], verdicts: Map<Verdict, number>): Promise<void> {
  const grader = new CodeGrader({ timeoutMs });
  let next = 0;
  const lane = async () => {
    while (next < answers.length) {
      const score = await grader.grade(`\`\`\`python\n${answers[next++]}\n\`\`\``, task);
      for (const verdict of score.verdicts) verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 16 }, lane));
  await grader.close();
}

const answers = Array.from({ length: total / testsOfEach }, (_, i) => cycle[(i * 37) % cycle.length]);
const rounds = 4;
const verdicts = new Map<Verdict, number>();
console.log(`before   ${threads()} threads, ${children()} processes, ${memory()}`);
const began = performance.now();
for (let round = 0; round < rounds; round++) {
  await run(answers.slice((round * answers.length) / rounds, ((round + 1) * answers.length) / rounds), verdicts);
  console.log(`round ${round + 1}  ${threads()} threads, ${children()} processes, ${memory()}`);
}
const seconds = (performance.now() - began) / 1000;
console.log(`tests    ${total} in ${seconds.toFixed(0)} s, ${availableParallelism()} workers`);
console.log(`verdicts ${[...verdicts].map(([verdict, count]) => `${verdict} ${count}`).join(', ')}`);
