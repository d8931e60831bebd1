import { execFileSync } from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';
import threads, { type WorkerOptions } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { LocalEngine } from '../src/engine/local/engine.ts';
import { MathComparer } from '../src/rewards/equivalence/comparer.ts';
import { callTool } from '../src/tools/call.ts';
import { PythonPool } from '../src/tools/python/pool.ts';
import { pythonTool } from '../src/tools/python/tool.ts';
import { ThreadError } from '../src/worker.ts';

const { Worker } = threads;

const root = new URL('..', import.meta.url);

test.each([
  ['flags for its own source', ['--input-type=module'], undefined],
  ['flags of all kinds', ['--max-old-space-size=1000', '--input-type=module'], '--max-old-space-size=900 --title=x'],
])('threads start in a program with %s', (_, flags, NODE_OPTIONS) => {
  const program = `
    import { MathComparer } from './src/rewards/equivalence/comparer.ts';
    import { LocalEngine } from './src/engine/local/engine.ts';
    import { PythonPool } from './src/tools/python/pool.ts';
    const comparer = new MathComparer();
    const pool = new PythonPool();
    const engine = await LocalEngine.start();
    const opened = await engine.sampler('/nowhere').catch(error => error.message);
    console.log(await comparer.equal('1/2', '0.5'), (await pool.session().run('6*7')).output.trim(), /nowhere/.test(opened));
    await Promise.all([comparer.close(), pool.close(), engine.close()]);`;
  const env = { PATH: process.env.PATH, NODE_OPTIONS };
  const output = execFileSync(process.execPath, ['--import', 'tsx', ...flags, '-e', program], {
    cwd: root,
    env,
    encoding: 'utf8',
  });
  expect(output).toBe('true 42 true\n');
});

describe('a thread', () => {
  afterEach(() => threadsAre(undefined));

  /** Every thread that is started runs this in place of its module. */
  function threadsAre(source: string | undefined): void {
    class Replaced extends Worker {
      constructor(_: string | URL, options?: WorkerOptions) {
        super(source!, { ...options, eval: true });
      }
    }
    threads.Worker = source === undefined ? Worker : Replaced;
    syncBuiltinESMExports();
  }

  const broken = [
    ['cannot start', 'throw new Error("a module is missing")', /could not be started: a module is missing/],
    [
      'dies unasked',
      `const { parentPort } = require('node:worker_threads');
       parentPort.on('message', () => { throw new Error('a bug'); });
       parentPort.postMessage({ kind: 'ready', notice: '' });`,
      /: a bug/, // whether its first message or its end is heard of first is up to the system
    ],
    [
      'ends without a word',
      `const { parentPort } = require('node:worker_threads');
       parentPort.on('message', () => process.exit());
       parentPort.postMessage({ kind: 'ready', notice: '' });`,
      /ended: it gave no reason/,
    ],
  ] as const;

  test.each(broken)('that %s is no verdict on answers', async (_, source, message) => {
    threadsAre(source);
    const comparer = new MathComparer();
    const answers = [comparer.equal('1/2', '0.5'), comparer.equal('1', '2')];
    for (const answer of answers) await expect(answer).rejects.toThrow(message);
    await expect(comparer.equal('1', '2')).rejects.toThrow(ThreadError);
    await comparer.close();
  });

  test.each(broken)('that %s is nothing that a model gets to read', async (_, source, message) => {
    threadsAre(source);
    const pool = new PythonPool();
    const tool = pythonTool(pool.session());
    await expect(callTool([tool], { name: 'python', arguments: { code: '1' } })).rejects.toThrow(message);
    await expect(pool.runProgram('1', '')).rejects.toThrow(ThreadError);
    await pool.close();
  });

  test.each(broken)('that %s ends what its engine was asked for', async (_, source, message) => {
    threadsAre(source);
    const engine = await LocalEngine.start();
    await expect(engine.sampler('/nowhere')).rejects.toThrow(message);
    await engine.close();
  });
});
