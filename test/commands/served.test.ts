import { execFile } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeSmallModels } from '../../bench/smallSodRun.ts';
import { type RunningServer, serve } from '../../src/serve/server.ts';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const folder = temporaryFolder(afterAll);
const path = (name: string) => join(folder, name);
let model: string;
let server: RunningServer;

beforeAll(async () => {
  model = (await writeSmallModels(folder)).student;
  server = await serve({ checkpoint: model, port: 0, apiKey: 'secret', maxContext: 4096 });
  // What is needed of a model that a server has: everything but the weights.
  const isText = (file: string) => !file.endsWith('.safetensors');
  cpSync(model, path('tokenizer'), { recursive: true, filter: isText });
  const problems = ['How many primes are there below 100?', 'What is 12 times 12?', 'Name a number.'];
  writeFileSync(
    path('problems.jsonl'),
    problems.map(prompt => `${JSON.stringify({ prompt, answer: '25' })}\n`).join(''),
  );
});
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
  for (const file of ['mine/trajectories.jsonl']) expect(written('there', file)).toBe(written('here', file));
  expect(written('here', 'mine/trajectories.jsonl').split('\n')).toHaveLength(3 * 8 * 2 + 1);
  const results = (where: string) => ({ ...JSON.parse(written(where, 'results.json')), model: undefined });
  expect(results('there')).toEqual(results('here'));
  // Nobody knows that the weights in the folder are those of the server.
  expect(existsSync(path('tokenizer.evaluations.json'))).toBe(false);
  await expect(sod('eval', model, ...benchmark.map(arg => arg.replace('WHERE', 'there')), ...short)).rejects.toThrow(
    /there\/mine holds samples that were made with another model/,
  );
});

test('sod eval in a world, and sod collect: the same', async () => {
  const [here, there] = await both('eval', '--tasks', 'shop:4', '--samples', '3', '--json', ...short);
  expect(there).toBe(here);
  expect(JSON.parse(here).tasks).toHaveLength(4);
  await both('collect', '--tasks', 'shop:6', '--min-score', '-9', '--out', 'WHERE.jsonl', ...short);
  expect(readFileSync(path('there.jsonl'), 'utf8')).toBe(readFileSync(path('here.jsonl'), 'utf8'));
  expect(readdirSync(folder).filter(file => file.endsWith('.partial'))).toEqual([]);
});

test('an address that leads nowhere, or to another model, is named', async () => {
  const ask = (...more: string[]) => sod('eval', model, '--tasks', 'shop:1', ...more);
  await expect(ask('--server', 'gpu-7:8000')).rejects.toThrow(/gpu-7:8000 is no address of a server/);
  await expect(ask('--server', `${server.url}#other`)).rejects.toThrow(/it has no model other; it has student/);
});
