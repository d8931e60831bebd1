import { spawn } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import type { Runs } from '../../src/watch/api.ts';
import { smallSodRun, writeSmallModels } from '../smallSodRun.ts';
import { startCommand } from '../startServer.ts';

const folder = 'runs/bench/watch/training';

/** Trains a small model by SOD, whose run so many pages watch. @returns how many seconds the command took */
export async function watchedTraining(pages: number): Promise<number> {
  const models = existsSync(folder)
    ? { student: join(folder, 'student'), teacher: join(folder, 'teacher') }
    : await writeSmallModels(folder);
  const small = smallSodRun(models);
  const recipe = join(folder, 'recipe.yaml');
  const rollout = { groupSize: 8, maxResponseTokens: 128, maxTurns: 4 };
  writeFileSync(recipe, stringify({ ...small, rollout, training: { ...small.training, iterations: 40 } }));
  const run = join(folder, 'run');
  rmSync(run, { recursive: true, force: true });
  mkdirSync(run);

  const watch = pages > 0 ? await startCommand('watch', run) : undefined;
  const gone = new AbortController();
  setMaxListeners(0, gone.signal);
  const start = performance.now();
  const training = trained(recipe, run);
  if (watch) for (let page = 0; page < pages; page++) void read(watch.url, gone.signal);
  await training;
  const seconds = (performance.now() - start) / 1000;
  gone.abort();
  watch?.server.kill();
  return seconds;
}

function trained(recipe: string, run: string): Promise<void> {
  const training = spawn(process.execPath, ['dist/cli.js', 'train', recipe, '--run', run], { stdio: 'ignore' });
  return new Promise((resolve, reject) => {
    training.once('exit', status =>
      status === 0 ? resolve() : reject(new Error(`the training ended with ${status}`)),
    );
  });
}

/** A page that watches the run, once it is there. */
async function read(url: string, signal: AbortSignal): Promise<void> {
  try {
    let runs: Runs['runs'] = [];
    while (runs.length === 0) {
      await sleep(200, undefined, { signal });
      ({ runs } = (await (await fetch(`${url}/api/runs`, { signal })).json()) as Runs);
    }
    const response = await fetch(`${url}/api/events?run=${runs[0].id}`, { signal });
    for await (const _ of response.body!) if (signal.aborted) return;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
