/**
 * How long the policy waits in the demo's SOD run whose teacher is `sod serve` in another process, behind a network that adds 50 ms to
 * each request: `npm run bench:pipeline`. Policy and trainer are one engine, here; it waits while nothing at all is asked of it, of
 * all the time from the end of the first iteration to that of the last, checkpoints included. No peer takes part: at most 10 % with
 * `rollout.ahead: 0`, and 3 % with 1. The engine here has one thread: with two cores, the teacher has one of its own.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { LocalEngine } from '../src/engine/local/engine.ts';
import { percentText } from '../src/report/numbers.ts';
import { loadRecipe } from '../src/train/recipe.ts';
import { type Metrics, readMetrics } from '../src/train/runDirectory.ts';
import type { Worker, WorkerTime } from '../src/train/timeline.ts';
import { train } from '../src/train/train.ts';
import { startServer } from './startServer.ts';

const program = new Command('bench:pipeline')
  .description('How long the policy of a run waits whose teacher is served far away.')
  .argument('[demo]', 'folder of a demo, whose student and teacher are taken', 'runs/demo')
  .option('--iterations <count>', 'of each run', Number, 8)
  .option('--latency <ms>', 'of each request to the teacher', Number, 50)
  .option('--concurrency <count>', 'trajectories under way at the same time', Number, 32)
  .parse();
const [demo] = program.processedArgs as [string];
const { iterations, latency, concurrency } = program.opts<Record<string, number>>();
const models = { model: join(demo, 'student-sft/final'), teacher: join(demo, 'teacher-grpo/final') };
for (const folder of Object.values(models)) {
  if (!existsSync(folder)) program.error(`${folder} is not there: make it by 'npm run demo', or name another demo`);
}
const mostWaiting = [0.1, 0.03];

const folder = mkdtempSync(join(tmpdir(), 'sod-pipeline-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const { server, url } = await startServer(models.teacher);
const far = await farAway(url);

/** Passes each request on when it has been on its way for so long. */
async function farAway(target: string): Promise<{ url: string; close: () => void }> {
  const proxy = createServer(async (incoming, outgoing) => {
    const { method, headers, url } = incoming;
    await sleep(latency);
    const passed = request(target + url, { method, headers }, answer => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on('error', () => outgoing.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, close: () => proxy.close() };
}

/** @returns the share of the time in which the engine's thread had nothing to do */
async function waiting(ahead: number): Promise<number> {
  const engine = await LocalEngine.start({ threads: 1, cacheBytes: 2 ** 28 });
  const runDir = join(folder, `ahead-${ahead}`);
  const changes = {
    ...models,
    teacher: far.url,
    rollout: { ahead, concurrency },
    training: { iterations },
  };
  let from: ReturnType<LocalEngine['utilization']> | undefined;
  let share = Number.NaN;
  await train(await loadRecipe('recipes/demo/student-sod.yaml', changes), {
    runDir,
    engine,
    onProgress: event => {
      if (event.kind !== 'iteration') return;
      if (from) share = 1 - engine.utilization(from).utilization;
      from ??= engine.utilization();
    },
  });
  await engine.close();
  const lines = readMetrics(runDir).slice(1);
  const busy = (worker: Worker) => `${worker} ${percentText(busyShare(lines, worker), 1)} %`;
  console.log(
    `ahead ${ahead}: the policy's engine waited ${percentText(share, 1)} % of the time, at most ${100 * mostWaiting[ahead]} %; ` +
      `busy were ${busy('policy')}, ${busy('teacher')}, ${busy('trainer')}`,
  );
  return share;
}

function busyShare(lines: readonly Metrics[], worker: Worker): number {
  const times = lines.map(({ seconds }) => (seconds as { engines: Record<Worker, WorkerTime> }).engines[worker]);
  const sum = (of: (time: WorkerTime) => number) => times.reduce((total, time) => total + of(time), 0);
  return sum(({ busy }) => busy) / sum(({ busy, waiting }) => busy + waiting);
}

const shares = [await waiting(0), await waiting(1)];
server.kill('SIGTERM');
far.close();
process.exitCode = shares.every((share, ahead) => share <= mostWaiting[ahead]) ? 0 : 1;
