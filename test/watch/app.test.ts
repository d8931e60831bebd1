import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lockFolder } from '../../src/folderLock.ts';
import { ApiError } from '../../src/serve/apiError.ts';
import { listen } from '../../src/serve/listen.ts';
import { formatRecipe, parseRecipe } from '../../src/train/recipe.ts';
import type { KeptTrajectory } from '../../src/train/trajectoryFile.ts';
import { writeTrajectories } from '../../src/train/trajectoryFile.ts';
import type { RunSummary, SearchHit, TrajectoryRow, TrajectoryView, WatchEvent } from '../../src/watch/api.ts';
import { createWatchApp } from '../../src/watch/app.ts';
import { WatchedFolders } from '../../src/watch/folders.ts';
import { temporaryFolder } from '../engine/tinyModel.ts';

const root = temporaryFolder(afterAll);
const closing = new AbortController();
let url: string;
beforeAll(async () => {
  const options = { folders: new WatchedFolders([root]), page: {}, host: '127.0.0.1', signal: closing.signal };
  const { server, url: address } = await listen(createWatchApp(options).fetch, '127.0.0.1', 0, (status, message) => {
    return new ApiError(status, message).body;
  });
  url = address;
  return () => {
    closing.abort();
    server.closeAllConnections();
    server.close();
  };
});

const recipe = parseRecipe({ method: 'sod', model: 'm', teacher: 't', training: { iterations: 40 } });
const lineOf = (iteration: number, more = {}) =>
  `${JSON.stringify({ iteration, update: iteration, accuracy: iteration / 100, seconds: { rollout: 2, update: 1, engines: {} }, ...more })}\n`;

/** A run that has come to an iteration. */
function newRun(name: string, iterations: number): string {
  const path = join(root, name);
  mkdirSync(join(path, 'trajectories'), { recursive: true });
  mkdirSync(join(path, 'checkpoints'));
  writeFileSync(join(path, 'recipe.yaml'), formatRecipe(recipe));
  writeFileSync(join(path, 'metrics.jsonl'), Array.from({ length: iterations }, (_, i) => lineOf(i + 1)).join(''));
  return path;
}

function attempt(task: string, sample: number, more: Partial<KeptTrajectory> = {}): KeptTrajectory {
  const step = { text: `I say ${sample}`, tokens: ['I', ' say'], logprobs: [-0.5, -0.25] };
  const base = {
    reward: sample,
    correct: sample > 0,
    end: 'answer' as const,
    prompt: `Ask <b>${task}</b>`,
    steps: [step],
  };
  return { task, sample, ...base, ...more };
}

const get = async <T>(path: string): Promise<T> => (await fetch(`${url}${path}`)).json() as Promise<T>;
const runs = async () => (await get<{ runs: RunSummary[] }>('/api/runs')).runs;
const named = (list: RunSummary[], name: string) => list.find(run => run.name.endsWith(name))!;
const moment = () => new Promise(resolve => setTimeout(resolve, 1000));

/** What a page is told, from now on; `until` waits for the first that fits. */
function pageOf(path: string) {
  const gone = new AbortController();
  const events: WatchEvent[] = [];
  const wishes: (() => void)[] = [];
  const reading = (async () => {
    const response = await fetch(`${url}${path}`, { signal: gone.signal });
    let text = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const whole = text.split('\n\n');
      text = whole.pop()!;
      for (const event of whole) if (event.startsWith('data: ')) events.push(JSON.parse(event.slice(6)));
      for (const wish of wishes) wish();
    }
  })().catch(() => {});
  return {
    events,
    until: (fits: (event: WatchEvent) => boolean) =>
      new Promise<WatchEvent>(resolve => {
        const look = () => {
          const found = events.find(fits);
          if (found) resolve(found);
        };
        wishes.push(look);
        look();
      }),
    close: async () => {
      gone.abort();
      await reading;
    },
  };
}

test('runs are found wherever they are, with their state, progress and pace', async () => {
  newRun('some/where/one', 10);
  const busy = newRun('busy', 20);
  const unlock = lockFolder(busy);
  const done = newRun('done', 40);
  mkdirSync(join(done, 'final'));
  writeFileSync(join(root, 'some', 'table.json'), '{"rows": []}');
  await moment();
  const list = await runs();
  expect(named(list, 'where/one')).toMatchObject({
    method: 'sod',
    state: 'stopped',
    iteration: 10,
    iterations: 40,
    accuracy: 0.1,
  });
  expect(named(list, 'busy')).toMatchObject({ state: 'running', secondsLeft: 60 });
  expect(named(list, 'done').state).toBe('finished');
  expect(named(list, 'busy').curve).toMatchObject({ metric: 'accuracy', values: expect.arrayContaining([0.2]) });
  expect((await get<{ tables: unknown[] }>('/api/runs')).tables).toMatchObject([{ table: { rows: [] } }]);
  unlock();
});

test('a page is told how a run grows, what is void of it, and what is wrong with it', async () => {
  const path = newRun('grows', 2);
  await moment();
  const { id } = named(await runs(), 'grows');
  const page = pageOf(`/api/events?run=${id}`);
  expect(await page.until(event => event.kind === 'metrics')).toMatchObject({ run: id, from: 0, lines: [{}, {}] });

  appendFileSync(join(path, 'metrics.jsonl'), lineOf(3).slice(0, 20));
  await moment();
  appendFileSync(join(path, 'metrics.jsonl'), lineOf(3).slice(20));
  expect(await page.until(event => event.kind === 'metrics' && event.from === 2)).toMatchObject({
    lines: [{ iteration: 3 }],
  });
  appendFileSync(
    join(path, 'metrics.jsonl'),
    `${JSON.stringify({ iteration: 3, update: 3, evaluation: { average: 0.5 } })}\n`,
  );
  const evaluated = await page.until(event => event.kind === 'metrics' && event.lines[0]?.evaluation !== undefined);
  expect(evaluated).toMatchObject({ from: 2, lines: [{ iteration: 3, accuracy: 0.03, evaluation: { average: 0.5 } }] });

  rmSync(join(path, 'metrics.jsonl'));
  writeFileSync(join(path, 'metrics.jsonl'), `${lineOf(1)}garbage\n${lineOf(2, { accuracy: 1 })}`);
  await page.until(event => event.kind === 'metrics' && event.lines.some(line => line.accuracy === 1));
  rmSync(path, { recursive: true });
  const isGone = ({ id: run, problem }: RunSummary) => run === id && problem === 'its folder is gone';
  await page.until(event => event.kind === 'runs' && event.runs.some(isGone));
  await page.close();
});

test('trajectories are listed by what they are, looked at, and found by their text', async () => {
  const path = newRun('kept', 3);
  const folder = join(path, 'trajectories');
  const strange = '"<script>alert(1)</script>\n\u202e';
  writeTrajectories(folder, 1, [attempt('a', 0), attempt('a', 1), attempt('b', 0, { pattern: 'recovery' })]);
  const failed = { text: 'x', tokens: ['x'], logprobs: [0], observation: strange, error: 'exception', divergence: 0.5 };
  writeTrajectories(folder, 2, [attempt('a', 0), attempt('a', 1, { steps: [failed] })]);
  await moment();
  const { id, trajectories } = named(await runs(), 'kept');
  expect(trajectories).toBe(2);
  const list = (query: string) => get<TrajectoryRow[]>(`/api/runs/${id}/trajectories?${query}`);
  const count = (query: string) => get<number>(`/api/runs/${id}/trajectories/count?${query}`);

  const all = await list('');
  expect(all.map(({ iteration, index }) => [iteration, index])).toEqual([
    [2, 0],
    [2, 1],
    [1, 0],
    [1, 1],
    [1, 2],
  ]);
  expect(all[1]).toMatchObject({ task: 'a', steps: 1, tokens: 1, errors: 1, divergence: 0.5 });
  expect(all[0]).not.toHaveProperty('start');
  expect(await list('limit=2&offset=4')).toEqual([all[4]]);
  expect(await list('pattern=recovery')).toEqual([all[4]]);
  expect(await list('correct=true&to=1')).toEqual([all[3]]);
  expect(await count('error=true')).toBe(1);
  expect((await list('task=a&order=oldest'))[0]).toEqual(all[2]);
  expect((await list('order=divergence'))[0]).toEqual(all[1]);
  expect(await count('leastReward=0.5')).toBe(2);

  const view = await get<TrajectoryView>(`/api/runs/${id}/trajectories/2/1`);
  expect(view.trajectory.steps[0].observation).toBe(strange);
  expect(view.attempts.map(({ iteration, index }) => [iteration, index])).toEqual([
    [1, 0],
    [1, 1],
    [2, 0],
    [2, 1],
  ]);

  const search = await (await fetch(`${url}/api/runs/${id}/search?text=${encodeURIComponent('"<SCRIPT>')}`)).text();
  const hits = search
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as SearchHit);
  expect(hits).toEqual([{ row: all[1], excerpt: strange }]);
  expect(await (await fetch(`${url}/api/runs/${id}/search?text=nowhere`)).text()).toBe('');

  writeTrajectories(folder, 3, [attempt('c', 0)]);
  expect(await count('')).toBe(6);
  cpSync(join(folder, '000001.index.json'), join(folder, '000003.index.json'));
  writeFileSync(join(folder, '000002.index.json'), '[{');
  expect((await fetch(`${url}/api/runs/${id}/trajectories/3/2`)).status).toBe(404);
});

test('nothing else can be read, by nobody else', async () => {
  const path = newRun('closed', 1);
  await moment();
  const { id } = named(await runs(), 'closed');
  const status = async (path: string, init?: RequestInit) => (await fetch(`${url}${path}`, init)).status;
  expect(await status('/api/runs/..%2f..%2fetc/trajectories')).toBe(404);
  expect(await status(`/api/runs/${id}/trajectories/..%2f1/0`)).toBe(404);
  expect(await status(`/api/runs/${id}/trajectories/1/-1`)).toBe(404);
  expect(await status(`/api/runs/${id}/trajectories?order=sideways`)).toBe(400);
  expect(await status(`/api/runs/${id}/search`)).toBe(400);
  expect(await status('/recipe.yaml')).toBe(404);
  expect(await status('/api/runs', { headers: { origin: 'https://evil.example' } })).toBe(403);
  const policy = (await fetch(`${url}/api/runs`)).headers.get('content-security-policy');
  expect(policy).toContain("default-src 'self'");
  expect(policy).not.toContain('unsafe');

  symlinkSync('final', join(path, 'final'));
  await moment();
  expect(named(await runs(), 'closed')).toMatchObject({
    state: 'unreadable',
    problem: expect.stringContaining('links'),
  });
  rmSync(join(path, 'final'));

  writeFileSync(join(path, 'recipe.yaml'), 'method: nothing\n');
  await moment();
  expect(named(await runs(), 'closed')).toMatchObject({
    state: 'unreadable',
    problem: expect.stringContaining('recipe.yaml'),
  });
  chmodSync(path, 0o000);
  await moment();
  const list = await runs();
  chmodSync(path, 0o755);
  if (process.getuid?.() !== 0) expect(named(list, 'closed').problem).toMatch(/permission/i);
  expect(readFileSync(join(path, 'recipe.yaml'), 'utf8')).toBe('method: nothing\n');
});
