/**
 * The demo's SOD run on the local engine, and the same run with its student on `sod serve --tinker` and its teacher on `sod serve`:
 * `npm run bench:served-run`. No peer takes part: 20 updates must come to the same trajectories, advantages and weights, bit for
 * bit, and take at most 1.25 times as long.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Command } from 'commander';
import { loadRecipe } from '../src/train/recipe.ts';
import { readMetrics, readTrajectories } from '../src/train/runDirectory.ts';
import { train } from '../src/train/train.ts';
import { median } from './engine/median.ts';
import { startServer } from './startServer.ts';

const program = new Command('bench:served-run')
  .description('A run on the local engine and through servers: the same, and how much longer it takes.')
  .argument('[demo]', 'folder of a demo, whose student and teacher are taken', 'runs/demo')
  .option('--pairs <count>', 'runs of each kind', Number, 3)
  .parse();
const [demo] = program.processedArgs as [string];
const { pairs } = program.opts<{ pairs: number }>();
const models = { model: join(demo, 'student-sft/final'), teacher: join(demo, 'teacher-grpo/final') };
for (const folder of Object.values(models)) {
  if (!existsSync(folder)) program.error(`${folder} is not there: make it by 'npm run demo', or name another demo`);
}
const mostRatio = 1.25;

const folder = mkdtempSync(join(tmpdir(), 'sod-served-run-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const student = await startServer(models.model, '--tinker', '--state', join(folder, 'state'));
const teacher = await startServer(models.teacher);

const changes = {
  ...models,
  training: { iterations: 5 },
  save: { every: 5 },
};
const served = { ...changes, teacher: teacher.url, engine: { kind: 'tinker', url: student.url } };

/** Seconds of computation that each process has taken, all its threads together. */
function computed(): number[] {
  const { user, system } = process.cpuUsage();
  const ofServers = [student, teacher].map(({ server }) => {
    const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  });
  return [(user + system) / 1e6, ...ofServers];
}

async function run(name: string, overrides: Record<string, unknown>) {
  const runDir = join(folder, name);
  const before = computed();
  const began = performance.now();
  const { checkpoint } = await train(await loadRecipe('recipes/demo/student-sod.yaml', overrides), { runDir });
  const seconds = (performance.now() - began) / 1000;
  const computation = computed().map((seconds, i) => seconds - before[i]);
  const metrics = readMetrics(runDir).map(({ seconds, ...metrics }) => metrics);
  return {
    seconds,
    computation,
    left: {
      weights: readFileSync(join(checkpoint, 'model.safetensors')),
      trajectories: readTrajectories(runDir),
      metrics,
    },
  };
}

const ratios: number[] = [];
let isSame = true;
for (let pair = 1; pair <= pairs; pair++) {
  const here = await run(`here-${pair}`, changes);
  const there = await run(`there-${pair}`, served);
  ratios.push(there.seconds / here.seconds);
  const equal = isDeepStrictEqual(there.left, here.left);
  isSame &&= equal;
  const { length } = here.left.trajectories;
  console.log(
    `pair ${pair}: here ${here.seconds.toFixed(1)} s (${here.computation[0].toFixed(1)} of computation), ` +
      `through servers ${there.seconds.toFixed(1)} s (${there.computation.map(seconds => seconds.toFixed(1)).join(' + ')}); ` +
      `weights, metrics and ${length} trajectories are ${equal ? 'the same' : 'NOT the same'}`,
  );
}
const ratio = median(ratios);
console.log(`through servers it takes ${ratio.toFixed(2)} times as long, at most ${mostRatio}`);
student.server.kill('SIGTERM');
teacher.server.kill('SIGTERM');
process.exitCode = isSame && ratio <= mostRatio ? 0 : 1;
