/**
 * Trackers as their own programs know them: `npm run bench:trackers` trains a small model, stops and resumes it, with its metrics told to
 * TensorBoard and to an MLflow server (both from PyPI, under runs/bench/trackers). TensorBoard's own loader must read what MLflow's own
 * client reads: every number of metrics.jsonl, each once. Then what a run takes longer for being tracked.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import { valuesOf } from '../../src/trackers/values.ts';
import { parseRecipe } from '../../src/train/recipe.ts';
import { readMetrics } from '../../src/train/runDirectory.ts';
import { train } from '../../src/train/train.ts';
import { median } from '../engine/median.ts';
import { smallSodRun, writeSmallModels } from '../smallSodRun.ts';
import { healthyServer } from './healthyServer.ts';
import { pythonWith } from './pythonWith.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'runs/bench/trackers');
const pairs = 5;

mkdirSync(folder, { recursive: true });
const python = pythonWith(join(folder, 'python'), 'tensorboard', 'mlflow');
for (const name of ['runs', 'server', 'models']) rmSync(join(folder, name), { recursive: true, force: true });
const models = await writeSmallModels(join(folder, 'models'));
const engine = await LocalEngine.start();
const url = await startMlflow();

/** @param stopAfter so many iterations */
async function trained(name: string, track: object[] | undefined, resume = false, stopAfter = 0) {
  const controller = new AbortController();
  const began = performance.now();
  await train(parseRecipe({ ...smallSodRun(models), save: { every: 4 }, track }), {
    runDir: join(folder, 'runs', name),
    engine,
    resume,
    signal: controller.signal,
    onProgress: event => {
      if (event.kind === 'notice' && /MLflow|TensorBoard/.test(event.notice)) throw new Error(event.notice);
      if (event.kind === 'iteration' && event.metrics.iteration === stopAfter) controller.abort();
    },
  });
  return (performance.now() - began) / 1000;
}

function startMlflow(): Promise<string> {
  const port = 5017;
  const state = join(folder, 'server');
  mkdirSync(state, { recursive: true });
  const args = ['-m', 'mlflow', 'server', '--host', '127.0.0.1', '--port', String(port)];
  const where = ['--backend-store-uri', `sqlite:///${state}/mlflow.db`, '--workers', '1'];
  return healthyServer(python, [...args, ...where], state, port);
}

interface Read {
  version: string;
  /** Name, step and value of every point. */
  points: [string, number, number][];
}

try {
  const track = [{ kind: 'tensorboard' }, { kind: 'mlflow', url, experiment: 'bench' }];
  await trained('tracked', track, false, 6);
  rmSync(join(folder, 'runs/tracked/checkpoints/000012'), { recursive: true });
  await trained('tracked', track, true);

  const read: { tensorboard: Read & { histograms: number; texts: number }; mlflow: Read & { runs: string[] } } =
    JSON.parse(
      execFileSync(python, [fileURLToPath(new URL('read_trackers.py', import.meta.url))], {
        input: JSON.stringify({ folder: join(folder, 'runs/tracked/tensorboard'), url, experiment: 'bench' }),
        encoding: 'utf8',
        stdio: ['pipe', 'pipe', 'ignore'],
        maxBuffer: 2 ** 28,
      }),
    );
  const lines = readMetrics(join(folder, 'runs/tracked'));
  const expected = lines.flatMap(line => Array.from(valuesOf(line), ([name]) => `${name} ${line.iteration}`)).sort();
  const isSame = ({ points }: Read) =>
    JSON.stringify(points.map(([name, step]) => `${name} ${step}`).sort()) === JSON.stringify(expected);
  const { tensorboard, mlflow } = read;
  const values = new Map(mlflow.points.map(([name, step, value]) => [`${name} ${step}`, value]));
  const differing = tensorboard.points.filter(
    ([name, step, value]) => Math.fround(values.get(`${name} ${step}`)!) !== value,
  );
  console.log(
    `${lines.length} lines of metrics.jsonl, ${expected.length} numbers\n` +
      `TensorBoard ${tensorboard.version} reads ${tensorboard.points.length} of them, each once: ${isSame(tensorboard)}; ` +
      `${tensorboard.histograms} histograms, ${tensorboard.texts} texts\n` +
      `MLflow ${mlflow.version} reads ${mlflow.points.length}, each once: ${isSame(mlflow)}; its runs: ${mlflow.runs.join(', ')}\n` +
      `values in which they differ: ${differing.length}`,
  );

  const seconds: Record<'without' | 'with', number[]> = { without: [], with: [] };
  for (let pair = 0; pair < pairs; pair++) {
    seconds.without.push(await trained(`without-${pair}`, undefined));
    seconds.with.push(await trained(`with-${pair}`, track));
  }
  console.log(
    `a run of 8 iterations takes ${median(seconds.without).toFixed(2)} s, with both ${median(seconds.with).toFixed(2)} s ` +
      `(medians of ${pairs})`,
  );
  const isRight =
    isSame(tensorboard) && isSame(mlflow) && differing.length === 0 && mlflow.runs.join() === 'tracked FINISHED';
  process.exitCode = isRight ? 0 : 1;
} finally {
  await engine.close();
}
