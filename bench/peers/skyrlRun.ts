import { spawn } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { interruptedExitCode } from '../../src/commands/interrupt.ts';
import { readMetrics } from '../../src/train/runDirectory.ts';
import { smallSodRun } from '../smallSodRun.ts';
import { startServer } from '../startServer.ts';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const iterations = 10;
const updatesPerIteration = 2;

/** A run on a server, stopped in the middle, resumed and evaluated by the command line. @returns whether all went as it should */
export async function runThere(url: string, models: { student: string; teacher: string }, folder: string) {
  const teacher = await startServer(models.teacher);
  const recipe = join(folder, 'run.yaml');
  const run = join(folder, 'run');
  rmSync(run, { recursive: true, force: true });
  writeFileSync(
    recipe,
    stringify({
      ...smallSodRun(models),
      // It compiles for every number of tokens that may still come: each further turn would have one of its own.
      rollout: { groupSize: 2, maxResponseTokens: 24, maxTurns: 1 },
      teacher: teacher.url,
      engine: { kind: 'tinker', url, dialect: 'skyrl-jax' },
      lora: { rank: 4 },
      training: { iterations, promptsPerIteration: 2 * updatesPerIteration, promptsPerUpdate: 2 },
      optimizer: { learningRate: 1e-2, clipNorm: 0 },
      loss: { dualClip: 'off' },
    }),
  );

  const stopped = await sod(['train', recipe, '--run', run], () => readMetrics(run).length >= iterations / 2);
  const made = readMetrics(run).length;
  const resumed = await sod(['train', '--resume', run]);
  const metrics = readMetrics(run);
  const model = join(run, 'final');
  const sampling = ['--max-turns', '3', '--max-tokens', '96'];
  const evaluated = await sod(['eval', model, '--tasks', 'shop:10', '--samples', '2', ...sampling]);
  teacher.server.kill('SIGTERM');

  const updates = metrics.map(({ update }) => update);
  const losses = metrics.map(({ loss }) => Number(loss).toFixed(4));
  console.log(
    `run        stopped after ${made * updatesPerIteration} updates, resumed to ${updates.at(-1)}; losses ${losses}`,
  );
  const everyUpdate = Array.from({ length: iterations }, (_, i) => (i + 1) * updatesPerIteration);
  return (
    stopped === interruptedExitCode &&
    made < iterations &&
    resumed === 0 &&
    `${updates}` === `${everyUpdate}` &&
    metrics.every(({ loss }) => Number.isFinite(loss)) &&
    existsSync(join(model, 'adapter/adapter_model.safetensors')) &&
    evaluated === 0
  );
}

/** Runs the command line, and interrupts it when it is time. @returns its exit code */
async function sod(args: string[], isTime = () => false): Promise<number | null> {
  const command = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = new Promise<number | null>(resolve => command.once('exit', resolve));
  let exitCode: number | null | undefined;
  ended.then(code => {
    exitCode = code;
  });
  while (exitCode === undefined && !isTime()) await sleep(200);
  if (exitCode === undefined) command.kill('SIGINT');
  return ended;
}
