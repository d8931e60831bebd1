/**
 * A recipe of `tinker-cookbook` (PyPI) against `sod serve --tinker`: `npm run bench:cookbook`. Of its recipes, `math_rl` with sums of two
 * numbers takes nothing from the Hub: it makes its own tasks, and its tokenizer comes from the folder that names the model. Ten steps
 * from a small model that knows nothing must raise the reward, which it can by learning to end its turn; and the log-probabilities
 * that it was sampled with must be those that it is trained with, but for the roundings of float32.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeSmallModels } from '../smallSodRun.ts';
import { startServer } from '../startServer.ts';
import { pythonWith } from './pythonWith.ts';

const version = '0.5.8';
const steps = 10;
/** Of the mean difference between the log-probabilities of sampling and of training, in nats. */
const tolerance = 1e-4;

const folder = fileURLToPath(new URL('../../runs/bench/cookbook', import.meta.url));
const run = join(folder, 'run');
const output = join(folder, 'output.log');
for (const old of [run, join(folder, 'state')]) rmSync(old, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const python = pythonWith(join(folder, version), `tinker-cookbook[math-rl]==${version}`);
const { student } = await writeSmallModels(folder);
const { server, url } = await startServer(student, '--tinker', '--dtype', 'f32', '--state', join(folder, 'state'));

const settings = {
  ...{
    env: 'arithmetic',
    model_name: 'student',
    renderer_name: 'qwen3_disable_thinking',
    base_url: url,
    log_path: run,
  },
  ...{ group_size: 16, groups_per_batch: 16, max_tokens: 8, learning_rate: 0.01, max_steps: steps },
  ...{ eval_every: 0, save_every: 5, behavior_if_log_dir_exists: 'delete' },
};
const log = openSync(output, 'w');
const began = performance.now();
try {
  const named = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  execFileSync(python, ['-m', 'tinker_cookbook.recipes.math_rl.train', ...named], {
    cwd: folder,
    env: { ...process.env, TINKER_API_KEY: 'tml-none', HF_HUB_OFFLINE: '1', CUDA_VISIBLE_DEVICES: '' },
    stdio: ['ignore', log, log],
  });
} catch (error) {
  console.error(`the recipe failed, see ${output}`);
  throw error;
} finally {
  closeSync(log);
  server.kill('SIGTERM');
}
const seconds = (performance.now() - began) / 1000;

const packages = ['tinker-cookbook', 'tinker', 'transformers', 'torch'];
const asked = `import importlib.metadata as m; print(", ".join(p + " " + m.version(p) for p in ${JSON.stringify(packages)}))`;
console.log(execFileSync(python, ['-c', asked], { encoding: 'utf8' }).trim());

const lines = readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n');
const metrics = lines.map((line): Record<string, number> => JSON.parse(line));
const difference = Math.max(...metrics.map(step => Math.abs(step['optim/kl_sample_train_v1'])));
for (const step of metrics) {
  console.log(
    `step ${step.step}: reward ${step['env/all/reward/total'].toFixed(4)}, turns ended ${step['env/all/format'].toFixed(3)}, ` +
      `gradient ${step.grad_norm.toFixed(2)}, ${step['time/total'].toFixed(1)} s`,
  );
}
const rewards = metrics.map(step => step['env/all/reward/total']);
const isFine = metrics.length === steps && rewards.at(-1)! > rewards[0] && difference < tolerance;
console.log(
  `${metrics.length} steps in ${seconds.toFixed(0)} s; reward ${rewards[0].toFixed(4)} to ${rewards.at(-1)!.toFixed(4)}; ` +
    `sampling and training differ by at most ${difference.toExponential(1)} nats a token`,
);
process.exitCode = isFine ? 0 : 1;
