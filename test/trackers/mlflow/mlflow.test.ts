import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Mlflow } from '../../../src/trackers/mlflow/mlflow.ts';
import { Sender } from '../../../src/trackers/sender.ts';
import { temporaryFolder } from '../../engine/tinyModel.ts';
import { type Fate, MlflowServer } from './server.ts';

const recipe = { method: 'sod', training: { iterations: 8 } };
let runDir: string;
let server: MlflowServer;
let url: string;
let notices: string[];

beforeEach(async () => {
  runDir = temporaryFolder();
  server = new MlflowServer();
  url = await server.listen();
  notices = [];
  for (const name of ['URI', 'TOKEN', 'USERNAME', 'PASSWORD']) vi.stubEnv(`MLFLOW_TRACKING_${name}`, undefined);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await server.close();
});

function sender(farewellMs?: number): Sender {
  const store = new Mlflow({ kind: 'mlflow', url, experiment: 'shops' }, recipe, runDir);
  return new Sender(store, { runDir, onNotice: notice => notices.push(notice), firstPauseMs: 1, farewellMs });
}

const lineOf = (iteration: number) => ({
  iteration,
  update: 2 * iteration,
  loss: 1 / iteration,
  seconds: { rollout: 1 },
});
const pointsOf = (iterations: number[]) =>
  iterations.flatMap(step => [
    { key: 'loss', step, value: 1 / step },
    { key: 'seconds/rollout', step, value: 1 },
    { key: 'update', step, value: 2 * step },
  ]);
const told = () =>
  [...server.runs.values()].map(({ points }) => points.map(({ key, step, value }) => ({ key, step, value })));
const byStep = (points: ReturnType<typeof pointsOf>) =>
  points.toSorted((a, b) => a.step - b.step || a.key.localeCompare(b.key));

test('a run is one of its experiment, with the recipe as its parameters, and says how it ended', async () => {
  const first = sender();
  first.tell(lineOf(1));
  await first.close('stopped');
  const [run] = server.runs.values();
  expect(run.status).toBe('KILLED');
  expect(server.experiments.get(run.experiment)).toBe('shops');
  expect(Object.fromEntries(run.params)).toEqual({ method: 'sod', 'training.iterations': '8' });

  const second = sender();
  for (const iteration of [1, 2]) second.tell(lineOf(iteration));
  second.tell({ ...lineOf(2), evaluation: { average: 0.5 } });
  await second.close('finished');
  expect(run.status).toBe('FINISHED');
  expect(told().map(byStep)).toEqual([
    byStep([...pointsOf([1, 2]), { key: 'evaluation/average', step: 2, value: 0.5 }]),
  ]);
  expect(notices).toEqual([]);
});

test('nothing is told twice and nothing lost, whatever a server does and whenever its answers are lost', async () => {
  const fates: Fate[] = ['done', 'done-lost', 'half-500', 'refused', 'done-500'];
  for (let offset = 0; offset < fates.length; offset++) {
    server.runs.clear();
    server.experiments.clear();
    rmSync(join(runDir, 'mlflow.json'), { force: true });
    let requests = offset;
    // Of every three requests two do as they should: an attempt has that many at most.
    server.fate = () => (requests++ % 3 === 0 ? fates[Math.floor(requests / 3) % fates.length] : 'done');
    const telling = sender();
    for (let iteration = 1; iteration <= 150; iteration++) telling.tell(lineOf(iteration));
    await vi.waitFor(() => expect(told()[0]).toHaveLength(450), 10_000);
    server.fate = () => 'done';
    await telling.close('finished');
    const all = Array.from({ length: 150 }, (_, i) => i + 1);
    expect(told().map(byStep)).toEqual([byStep(pointsOf(all))]);
  }
});

test('a server that is silent is waited for a bounded time, once, and told later', async () => {
  server.fate = () => 'silent';
  const waiting = sender(50);
  waiting.tell(lineOf(1));
  await waiting.close('finished');
  const remedy = `sod train --resume ${runDir} tells it what it misses`;
  expect(notices).toEqual([`MLflow at ${url}: it did not answer in time; ${remedy}`]);

  server.fate = () => 'done';
  const later = sender();
  later.tell(lineOf(1));
  await later.close('finished');
  expect(told().map(byStep)).toEqual([byStep(pointsOf([1]))]);
});

test('a run that the server has lost is told to it again, whole', async () => {
  const first = sender();
  first.tell(lineOf(1));
  await first.close('stopped');
  server.runs.clear();
  const second = sender();
  for (const iteration of [1, 2]) second.tell(lineOf(iteration));
  await second.close('finished');
  expect(told().map(byStep)).toEqual([byStep(pointsOf([1, 2]))]);
});

test('the token of the environment is sent, and is in no message', async () => {
  server.token = 'right-token';
  vi.stubEnv('MLFLOW_TRACKING_TOKEN', 'wrong-token');
  const refused = sender();
  refused.tell(lineOf(1));
  await refused.close('finished');
  expect(notices[0]).toMatch(/it answered 401 \(not welcome: Bearer …\): set MLFLOW_TRACKING_TOKEN, or/);
  expect(notices.join()).not.toContain('wrong-token');

  vi.stubEnv('MLFLOW_TRACKING_TOKEN', 'right-token');
  const accepted = sender();
  accepted.tell(lineOf(1));
  await accepted.close('finished');
  expect(told()[0]).toHaveLength(3);
});

test('what the environment says for one server goes to no other', async () => {
  vi.stubEnv('MLFLOW_TRACKING_TOKEN', 'some-token');
  vi.stubEnv('MLFLOW_TRACKING_URI', 'https://mlflow.example');
  const other = sender();
  other.tell(lineOf(1));
  await other.close('finished');
  expect([...server.authorizations]).toEqual([undefined]);

  vi.stubEnv('MLFLOW_TRACKING_URI', `${url}/`);
  const named = new Mlflow({ kind: 'mlflow', experiment: 'shops' }, recipe, runDir);
  await named.known(new AbortController().signal);
  expect([...server.authorizations]).toEqual([undefined, 'Bearer some-token']);
});

test('a name alone asks for an address in the environment', () => {
  const make = () => new Mlflow({ kind: 'mlflow', experiment: 'shops' }, recipe, runDir);
  expect(make).toThrow(/mlflow has no address: give \{ kind: mlflow, url: http:\/\/… \}, or set MLFLOW_TRACKING_URI/);
  vi.stubEnv('MLFLOW_TRACKING_URI', 'sqlite:///mlflow.db');
  expect(make).toThrow(/MLFLOW_TRACKING_URI, sqlite:\/\/\/mlflow\.db, is none/);
  vi.stubEnv('MLFLOW_TRACKING_URI', 'postgresql://me:se@ret@host/mlflow');
  expect(make).toThrow(/MLFLOW_TRACKING_URI, postgresql:\/\/…@host\/mlflow, is none/);
  vi.stubEnv('MLFLOW_TRACKING_URI', 'https://me:secret@host');
  expect(make).toThrow(/give it in MLFLOW_TRACKING_USERNAME/);
});
