import { execFile } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OpenAIEngine } from '../../src/engine/openai/engine.ts';
import { parseBenchmarks } from '../../src/eval/benchmarks.ts';
import { evaluateBenchmarks } from '../../src/eval/evaluateBenchmarks.ts';
import { type RunningServer, serve } from '../../src/serve/server.ts';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';
import { weatherModel } from '../serve/weatherModel.ts';

const folder = temporaryFolder(afterAll);
const path = (name: string) => join(folder, name);
let model: string;
let server: RunningServer;

beforeAll(async () => {
  model = await weatherModel();
  server = await serve({ checkpoint: model, port: 0, apiKey: 'secret', maxContext: 4096 });
  // What is needed of a model that a server has: everything but the weights.
  const isText = (file: string) => !file.endsWith('.safetensors');
  cpSync(model, path('tokenizer'), { recursive: true, filter: isText });
  const problems = ['How many primes are there below 100?', 'What is 12 times 12?', 'Name a number.'];
  writeFileSync(
    path('problems.jsonl'),
    problems.map(prompt => `${JSON.stringify({ prompt, answer: '25' })}\n`).join(''),
  );
}, 180_000);
afterAll(() => server.close(0));

async function sod(...args: string[]): Promise<string> {
  const env = { ...process.env, SOD_API_KEY: 'secret' };
  const { stdout } = await promisify(execFile)(process.execPath, [cli, ...args], { env, cwd: folder });
  return stdout;
}

/** The same command on the model here and on the one that the server has. */
const both = (...args: string[]) =>
  Promise.all([
    sod(args[0], model, ...args.slice(1).map(arg => arg.replace('WHERE', 'here'))),
    sod(
      args[0],
      path('tokenizer'),
      '--server',
      server.url,
      '--concurrency',
      '200',
      ...args.slice(1).map(arg => arg.replace('WHERE', 'there')),
    ),
  ]);

const short = ['--max-tokens', '60', '--max-turns', '2'];

test('sod eval writes of a served model what it writes of the same model in a folder', async () => {
  const benchmark = ['--benchmark', 'mine=problems.jsonl', '--samples', '8', '--runs', '2', '--out', 'WHERE'];
  await both('eval', ...benchmark, ...short);
  const written = (where: string, file: string) => readFileSync(path(join(where, file)), 'utf8');
  expect(written('there', 'mine/trajectories.jsonl')).toBe(written('here', 'mine/trajectories.jsonl'));
  expect(written('here', 'mine/trajectories.jsonl').split('\n')).toHaveLength(3 * 8 * 2 + 1);
  const results = (where: string) => ({ ...JSON.parse(written(where, 'results.json')), model: undefined });
  expect(results('there')).toEqual(results('here'));
  // Nobody knows that the weights in the folder are those of the server.
  expect(existsSync(path('tokenizer.evaluations.json'))).toBe(false);
  await expect(sod('eval', model, ...benchmark.map(arg => arg.replace('WHERE', 'there')), ...short)).rejects.toThrow(
    /there\/mine holds samples that were made with another model/,
  );
});

test('an evaluation of a served model that is stopped goes on, and ends with the same samples', async () => {
  const engine = await OpenAIEngine.open(server.url, { apiKey: 'secret' });
  const sampling = { temperature: 1, topP: 0.6, maxTurns: 2, maxPromptTokens: 4096, maxResponseTokens: 60, seed: 0 };
  const settings = { samples: 8, runs: 2, ...sampling };
  const benchmarks = parseBenchmarks(`mine=${path('problems.jsonl')}`);
  const options = {
    out: path('stopped'),
    equivalence: 'exact' as const,
    testTimeoutMs: 10_000,
    servedAs: engine.model,
  };
  const evaluate = (stopAfter: number) => {
    const controller = new AbortController();
    return evaluateBenchmarks(engine, path('tokenizer'), benchmarks, settings, options, {
      signal: controller.signal,
      concurrency: 4,
      onProgress: ({ done }) => done === stopAfter && controller.abort(),
    });
  };
  const samples = (where: string) => readFileSync(path(join(where, 'mine/trajectories.jsonl')), 'utf8');
  for (const stopAfter of [5, 20]) {
    await expect(evaluate(stopAfter)).rejects.toMatchObject({ name: 'AbortError' });
    expect(samples('stopped').split('\n').length).toBeLessThan(48);
  }
  await evaluate(-1);
  await engine.close();
  expect(samples('stopped')).toBe(samples('here'));
});

test('sod eval in a world, and sod collect: the same', async () => {
  const [here, there] = await both('eval', '--tasks', 'shop:4', '--samples', '3', '--json', ...short);
  expect(there).toBe(here);
  expect(JSON.parse(here).tasks).toHaveLength(4);
  await both('collect', '--tasks', 'shop:6', '--min-score', '-9', '--out', 'WHERE.jsonl', ...short);
  expect(readFileSync(path('there.jsonl'), 'utf8')).toBe(readFileSync(path('here.jsonl'), 'utf8'));
  expect(readFileSync(path('here.jsonl'), 'utf8').length).toBeGreaterThan(1000);
  expect(readdirSync(folder).filter(file => file.endsWith('.partial'))).toEqual([]);
});

test('an address that leads nowhere, or to another model, is named', async () => {
  const ask = (...more: string[]) => sod('eval', model, '--tasks', 'shop:1', ...more);
  await expect(ask('--server', 'gpu-7:8000')).rejects.toThrow(/gpu-7:8000 is no address of a server/);
  await expect(ask('--server', `${server.url}#other`)).rejects.toThrow(/it has no model other; it has weather/);
});
