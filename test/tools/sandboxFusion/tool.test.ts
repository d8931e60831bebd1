import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { callTool } from '../../../src/tools/call.ts';
import { parseToolProfile, type ToolProfile } from '../../../src/tools/profile.ts';
import { type OpenKit, openKit } from '../../../src/worlds/kit.ts';
import { fusionServer } from './fusionServer.ts';

const fusion = await fusionServer();
const opened: OpenKit[] = [];
afterAll(async () => {
  await Promise.all(opened.map(({ close }) => close()));
  await fusion.close();
});

async function toolOf(own: Partial<ToolProfile> & { preset?: string }) {
  const kit = await openKit({ tool: parseToolProfile(own, 'tool') });
  opened.push(kit);
  return kit.kit.python();
}

const served = { kind: 'sandbox-fusion' as const, url: fusion.url };
const there = await toolOf(served);
const here = await toolOf({ state: 'fresh' });
const run = (tool: typeof there, code: string) => callTool([tool], { name: tool.name, arguments: { code } });

describe('a model sees what it would see of the sandbox here', () => {
  test.each([
    '6 * 7',
    'x = "ä𝄞\\ud800"\nprint(x)\nx',
    'None',
    'print(1)\nimport sys\nprint(2, file=sys.stderr)\nprint(3)',
    'def f(n):\n    return 1 / n\ntry:\n    f(0)\nexcept ZeroDivisionError as error:\n    raise ValueError("no") from error',
    'import json\njson.loads("{")',
    'raise ExceptionGroup("both", [ValueError(1), KeyError("a")])',
    '1 +',
    'exit(3)',
    'exit()',
    'input()',
    'import random\nrandom.random()',
    '__name__, sorted(name for name in globals() if not name.startswith("__"))',
  ])('%j', async code => {
    expect(await run(there, code)).toEqual(await run(here, code));
  });
});

test('every call is a program of its own', async () => {
  await run(there, 'x = 6 * 7');
  expect(await run(there, 'x')).toMatchObject({
    error: 'exception',
    observation: expect.stringContaining('NameError'),
  });
});

test('a profile says how it is called, what it may take, and what is kept of its output', async () => {
  const tool = await toolOf({
    ...served,
    ...{ preset: 'paper', argument: 'source', results: 'printed', cut: 'start', cutMark: '…' },
    ...{ outputChars: 100, timeoutMs: 300, memoryMiB: 128 },
  });
  expect(tool).toMatchObject({ name: 'code_interpreter', description: 'A tool for executing code.' });
  const call = (source: string) => callTool([tool], { name: tool.name, arguments: { source } });
  expect(await call('1 + 1')).toEqual({ observation: '(no output)' });
  expect(await call('print("b" + "a" * 100, end="")')).toEqual({ observation: `…${'a'.repeat(100)}` });
  expect(fusion.requests.at(-1)).toMatchObject({ run_timeout: 0.3, memory_limit_MB: 128, language: 'python' });
  const { observation, error } = await call('while True: pass');
  expect(error).toBe('timeout');
  expect(observation).toMatch(/TimeoutError: the code ran for more than 0\.3 s and was stopped\n/);
  await run(there, '1');
  expect(fusion.requests.at(-1)).toMatchObject({ run_timeout: 5, memory_limit_MB: -1 });
});

test('no more calls are under way than its concurrency says', async () => {
  const most = fusion.mostAtOnce;
  fusion.mostAtOnce = 0;
  const tool = await toolOf({ ...served, concurrency: 3 });
  const observations = await Promise.all(Array.from({ length: 12 }, (_, i) => run(tool, `print(${i})`)));
  expect(observations).toEqual(Array.from({ length: 12 }, (_, i) => ({ observation: `${i}\n` })));
  expect(fusion.mostAtOnce).toBe(3);
  fusion.mostAtOnce = most;
});

/** A server that answers everything with this. */
async function other(status: number, content: unknown): Promise<string> {
  const server = createServer((_, outgoing) => {
    outgoing.writeHead(status, { 'content-type': 'application/json' });
    outgoing.end(JSON.stringify(content));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a server that is not there is told at the start, with what to do', () => {
  const remedy = ': start it, such as by docker run -p 127.0.0.1:8080:8080 volcengine/sandbox-fusion';
  test.each([
    ['nothing', async () => 'http://127.0.0.1:9', 'cannot be reached (ECONNREFUSED)'],
    ['another', () => other(404, { detail: 'Not Found' }), 'answered 404 (Not Found), it is no SandboxFusion'],
    ['one without Python', () => other(200, 'pong'), 'answered what SandboxFusion would not ("pong")'],
  ])('%s', async (_, address, message) => {
    const url = await address();
    await expect(toolOf({ ...served, url })).rejects.toThrow(`SandboxFusion at ${url} ${message}${remedy}`);
  });
});
