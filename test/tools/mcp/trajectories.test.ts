import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { callTool } from '../../../src/tools/call.ts';
import { type OpenServers, openServers } from '../../../src/tools/mcp/open.ts';
import { testServer } from './servers.ts';

const own = testServer('kitchenServer.mjs', {
  perTrajectory: true,
  atOnce: 2,
  args: [],
  tools: ['count', 'die', 'wait'],
});

/** The processes that this one has started, and which have not ended, of those servers. */
function running(): number {
  const list = execFileSync('ps', ['--ppid', String(process.pid), '--format', 'stat=,args='], { encoding: 'utf8' });
  return list.split('\n').filter(line => line.includes('kitchenServer') && !line.startsWith('Z')).length;
}

async function allEnded(): Promise<number> {
  for (let tries = 0; tries < 50 && running() > 0; tries++) await sleep(100);
  return running();
}

/** A trajectory that calls each of these, one after the other. */
async function trajectory(servers: OpenServers, names: string[], signal?: AbortSignal): Promise<string[]> {
  const tools = servers.tools([]);
  const observations: string[] = [];
  try {
    for (const name of names) {
      observations.push((await callTool(tools, { name, arguments: {} }, {}, signal)).observation);
    }
    return observations;
  } finally {
    await Promise.all(tools.map(tool => tool.close?.()));
  }
}

test('trajectories side by side each have a server of their own, few at once, and none is left behind', async () => {
  const servers = await openServers([own]);
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, running());
  }, 50);
  const counts = await Promise.all(Array.from({ length: 5 }, () => trajectory(servers, ['count', 'count'])));
  clearInterval(watch);
  expect(counts).toEqual(Array.from({ length: 5 }, () => ['1', '2']));
  expect(most).toBeLessThanOrEqual(4); // two that are lent and two that wait
  await servers.close();
  expect(await allEnded()).toBe(0);
});

test('what a trajectory does to its server is told to it alone; one that is stopped leaves nothing either', async () => {
  const servers = await openServers([own]);
  const stop = new AbortController();
  const stopped = trajectory(servers, ['wait'], stop.signal);
  const waiting = Promise.all([1, 2, 3].map(() => trajectory(servers, ['count'], stop.signal)));
  expect(await trajectory(servers, ['count', 'die', 'count'])).toEqual([
    '1',
    expect.stringMatching(/^Error: the server has ended: /),
    expect.stringMatching(/^Error: the server has ended: /),
  ]);
  expect(await trajectory(servers, ['count'])).toEqual(['1']);
  stop.abort(new Error('enough'));
  await expect(stopped).rejects.toThrow('enough');
  await waiting.catch(() => {});
  await servers.close();
  expect(await allEnded()).toBe(0);
});
