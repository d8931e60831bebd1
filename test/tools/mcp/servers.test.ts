import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { openServers } from '../../../src/tools/mcp/open.ts';
import { Secrets } from '../../../src/tools/mcp/secrets.ts';
import { checkedServers, formatServer, parseServers } from '../../../src/tools/mcp/servers.ts';
import { temporaryFolder } from '../../engine/tinyModel.ts';
import { testServer } from './servers.ts';

afterEach(() => vi.unstubAllEnvs());

test('servers are given by a command, an address or a file', () => {
  const file = join(temporaryFolder(), 'servers.yaml');
  writeFileSync(file, 'mcp:\n  - { name: notes, command: npx, args: [-y, notes server], perTrajectory: true }\n');
  expect(parseServers(['files=npx -y files /tmp', 'web=https://a.example/mcp?x=1', file])).toEqual([
    { name: 'files', command: 'npx', args: ['-y', 'files', '/tmp'] },
    { name: 'web', url: 'https://a.example/mcp?x=1' },
    { name: 'notes', command: 'npx', args: ['-y', 'notes server'], perTrajectory: true },
  ]);
});

test.each([
  [{ name: 'a' }, '0: give either command, a program to start, or url, an address'],
  [{ name: 'a', comand: 'x' }, "0: unknown key 'comand', did you mean 'command'?"],
  [{ name: 'a b', command: 'x' }, '0.name: must be letters, digits and _'],
  [{ name: 'a', command: 'x', headers: {} }, '0.headers: is for a server with url'],
  [{ name: 'a', url: 'http://x', env: {} }, '0.env: is for a server with command'],
  [{ name: 'a', url: 'x' }, '0.url: must be an address, such as http://'],
  [{ name: 'a', url: 'ftp://x' }, '0.url: must be an address, such as http://'],
  [{ name: 'a', url: 'http://me:pass@x' }, '0.url: a secret does not stand here'],
  [{ name: 'a', url: 'http://token@x' }, '0.url: a secret does not stand here'],
  [{ name: 'a', url: 'http://x?v=1&apiKey=1' }, '0.url: a secret does not stand here'],
  [{ name: 'a', command: 'x', atOnce: 2 }, '0.atOnce: is for a server with perTrajectory'],
  [{ name: 'a', command: 'x', env: { API_KEY: 'k-1' } }, '0.env.API_KEY: a secret does not stand here'],
  [{ name: 'a', url: 'http://x', headers: { 'X-AuthToken': '1' } }, '0.headers.X-AuthToken: a secret does not stand'],
  [{ name: 'a', url: 'http://x', headers: { Authorization: 'Bearer 1' } }, '0.headers.Authorization: a secret does'],
])('%j is refused', (server, message) => {
  expect(() => checkedServers([server], 'recipe: mcp')).toThrow(`recipe: mcp: ${message}`);
});

test('two servers have two names', () => {
  const twice = { name: 'a', command: 'x' };
  expect(() => checkedServers([twice, twice], 'mcp')).toThrow('1.name: two servers are named a');
});

test('a plan shows what would be run, and with what', () => {
  const server = { name: 'notes', command: 'npx', args: ['-y', 'notes server'], env: { KEY: `\${MINE}` } };
  expect(formatServer({ ...server, perTrajectory: true, tools: ['read'] })).toBe(
    `notes: runs npx -y "notes server", with KEY=\${MINE}, only its read, one for each trajectory, at most 16 at once`,
  );
});

describe('secrets', () => {
  test('come from the environment and are hidden in what comes back', () => {
    vi.stubEnv('TEST_TOKEN', 'abc-123456');
    const secrets = new Secrets('web');
    expect(secrets.filledIn({ Authorization: `Bearer \${TEST_TOKEN}` })).toEqual({
      Authorization: 'Bearer abc-123456',
    });
    expect(secrets.hidden('it was abc-123456, abc-123456')).toBe(`it was \${TEST_TOKEN}, \${TEST_TOKEN}`);
  });

  test('that are not there are asked for', () => {
    expect(() => new Secrets('web').filledIn({ A: `\${TEST_NOT_THERE}` })).toThrow(
      `MCP server web: it needs \${TEST_NOT_THERE}, and the environment has no TEST_NOT_THERE: set it`,
    );
  });
});

describe('what is not there is named', () => {
  test.each([
    [{ name: 'a', command: 'no-such-program' }, /^MCP server a could not be started \(no-such-program\): .*ENOENT/],
    [
      { name: 'a', command: process.execPath, args: ['-e', 'console.error("no licence"); process.exit(1)'] },
      /^MCP server a could not be started .*; it said: no licence$/,
    ],
    [
      { name: 'a', url: 'http://127.0.0.1:9/mcp' },
      /^MCP server a could not be reached \(http:\/\/127\.0\.0\.1:9\/mcp\): /,
    ],
    [
      testServer('kitchenServer.mjs', { tools: ['coount'] }),
      /^MCP server kitchen has no tool coount; it has count, weather, /,
    ],
  ])('%j', async (server, message) => {
    await expect(openServers([server])).rejects.toThrow(message);
  });
});
