import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
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

/** The ids of those servers that a process has started, this one or another, and which have not ended. */
function serversOf(...selected: string[]): string[] {
  const { stdout } = spawnSync('ps', [...selected, '--format', 'stat=,pid=,args='], { encoding: 'utf8' });
  const lines = stdout.split('\n').filter(line => line.includes('kitchenServer') && !line.startsWith('Z'));
  return lines.map(line => line.split(/\s+/)[1]);
}

const running = () => serversOf('--ppid', String(process.pid)).length;

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

test('servers end with what started them, also where that was killed', async () => {
  const module = new URL('../../../dist/tools/mcp/open.js', import.meta.url);
  const main = `const { openServers } = await import('${module}');
    await openServers(${JSON.stringify([own, { ...own, name: 'shared', perTrajectory: undefined, atOnce: undefined }])});
    console.log('open');`;
  const run = spawn(process.execPath, ['--input-type=module', '--eval', main], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(run.stdout, 'data');
  const started = serversOf('--ppid', String(run.pid));
  expect(started).toHaveLength(2);
  run.kill('SIGKILL');
  await expect.poll(() => serversOf('--pid', started.join()), { timeout: 10_000 }).toEqual([]);
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
