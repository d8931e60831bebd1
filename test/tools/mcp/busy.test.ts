import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { expect, onTestFinished, test } from 'vitest';
import { callTool } from '../../../src/tools/call.ts';
import { openServers } from '../../../src/tools/mcp/open.ts';

interface Refusal {
  status: 429 | 503;
  headers?: Record<string, string>;
}

/** A server that counts, and refuses the next requests in these ways before it looks at one. */
async function counter() {
  const state = { url: '', refusals: [] as Refusal[], requests: 0, count: 0 };
  const handler = toNodeHandler(
    createMcpHandler(() => {
      const server = new McpServer({ name: 'counter', version: '1.0.0' });
      server.registerTool('count', { description: 'Counts' }, () => ({
        content: [{ type: 'text', text: String(++state.count) }],
      }));
      return server;
    }),
  );
  const server = createServer((incoming, outgoing) => {
    state.requests++;
    const refusal = state.refusals.shift();
    if (refusal) outgoing.writeHead(refusal.status, refusal.headers).end('busy');
    else handler(incoming, outgoing);
  });
  onTestFinished(() => void server.close().closeAllConnections());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  return state;
}

async function open(url: string, timeoutMs?: number) {
  const servers = await openServers([{ name: 'counter', url, timeoutMs }]);
  onTestFinished(() => servers.close());
  return () => callTool(servers.tools([]), { name: 'count', arguments: {} });
}

const now: Refusal = { status: 429, headers: { 'retry-after': '0' } };

test('a server that is too busy is asked again when it says, also as it is opened; nothing is done twice', async () => {
  const server = await counter();
  server.refusals = [now, now];
  const count = await open(server.url);
  const past = { status: 503, headers: { 'retry-after': new Date(0).toUTCString() } } as const;
  server.refusals = [now, past, { status: 503 }];
  expect(await count()).toEqual({ observation: '1' });
  expect(server.refusals).toEqual([]);
  expect(await count()).toEqual({ observation: '2' });
});

test('one that is busy for longer than a call may take was too slow, and is not asked behind that', async () => {
  const server = await counter();
  const count = await open(server.url, 2000);
  const before = server.requests;
  server.refusals = [now, { status: 429, headers: { 'retry-after': '3' } }, now];
  expect(await count()).toEqual({ observation: 'Error: count did not answer within 2 s.', error: 'timeout' });
  expect(server.requests - before).toBe(2);
  expect(await count()).toEqual({ observation: '1' });
});
