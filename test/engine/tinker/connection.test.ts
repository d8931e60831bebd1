import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Connection } from '../../../src/engine/tinker/connection.ts';
import { jsonOf } from '../../../src/engine/tinker/futures.ts';

/** A server that answers polls by 408, as SkyRL does while it works, for so long. */
async function startWorking(forMs: number): Promise<string> {
  const until = performance.now() + forMs;
  const server = createServer((request, response) => {
    const isWorking = request.url!.endsWith('/retrieve_future') && performance.now() < until;
    response.writeHead(isWorking ? 408 : 200, { 'content-type': 'application/json' });
    response.end(isWorking ? '{"detail":"Timeout waiting for result"}' : '{"done":true}');
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a server that works for longer than patience lasts is waited for while it answers heartbeats', async () => {
  const connection = new Connection({ url: await startWorking(900), patienceMs: 250, firstPauseMs: 5 });
  onTestFinished(() => connection.close());
  const poll = () => connection.ask('retrieve_future', { request_id: '1' }, jsonOf);
  await expect(poll()).rejects.toThrow(/408: Timeout waiting for result, for .* minutes now: go on by --resume/);

  const heart = setInterval(() => connection.tell('session_heartbeat', {}), 50);
  onTestFinished(() => clearInterval(heart));
  expect(await poll()).toEqual({ done: true });
});
