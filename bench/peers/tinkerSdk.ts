/**
 * The official `tinker` SDK (PyPI), an old version and a new one, against `sod serve --tinker`: `npm run bench:tinker-sdk`. It
 * trains by each loss, scores, samples, saves, loads and deletes; losses and log-probabilities must be those of the local engine asked
 * directly, and the loaded model must say what the saved one said.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalEngine } from '../../src/engine/local/engine.ts';
import type { LossSpec } from '../../src/engine/types.ts';
import { linearNames } from '../../src/model/config.ts';
import { writeSmallModels } from '../smallSodRun.ts';
import { startServer } from '../startServer.ts';
import { pythonWith } from './pythonWith.ts';

const versions = ['0.25.0', '0.38.0'];
const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'runs/bench/tinker-sdk');
const tokens = [5, 6, 7, 8, 9, 10, 11, 12];
/** What the cycle asks for. */
const lora = { rank: 8, alpha: 32, targets: linearNames, seed: 0 };
const losses: LossSpec[] = [
  { kind: 'cross_entropy' },
  { kind: 'importance_sampling' },
  { kind: 'ppo', clipLow: 0.2, clipHigh: 0.2, dualClip: 'off' },
];

rmSync(join(folder, 'state'), { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const { student } = await writeSmallModels(folder);

const { server, url } = await startServer(student, '--tinker', '--state', join(folder, 'state'));

interface Cycle {
  losses: Record<string, { metrics: Record<string, number> }>;
  forward: number[];
  scores: (number | null)[];
  sampled: number[][];
  sampledAgain: number[][];
  saved: string[];
  left: string[];
}

function cycleOf(version: string): Cycle {
  const python = pythonWith(join(folder, version), `tinker==${version}`);
  const said = execFileSync(python, [fileURLToPath(new URL('tinker_cycle.py', import.meta.url))], {
    input: JSON.stringify({ url, model: 'student', tokens, logprobs: tokens.slice(1).map(() => -6) }),
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  return JSON.parse(said);
}

/** The same on the local engine; Adam's settings are the SDK's defaults. */
async function ownCycle() {
  const engine = await LocalEngine.start();
  const trainer = await engine.trainer(student, lora);
  const fill = (value: number) => new Float32Array(tokens.length).fill(value, 1);
  const data = [{ tokens, weights: fill(1), advantages: fill(0.5), behaviourLogprobs: fill(-6) }];
  const sums: number[] = [];
  for (const loss of losses) {
    sums.push((await trainer.forwardBackward(data, loss)).loss);
    const adam = { learningRate: 1e-3, betas: [0.9, 0.95] as [number, number], epsilon: 1e-12 };
    await trainer.optimStep({ ...adam, weightDecay: 0, clipNorm: 0 });
  }
  const [{ logprobs }] = await trainer.score([{ tokens, mask: new Uint8Array(tokens.length).fill(1, 1) }]);
  await engine.close();
  return { sums, logprobs: [...logprobs.slice(1)] };
}

const own = await ownCycle();
const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
for (const version of versions) {
  const cycle = cycleOf(version);
  const checks = {
    losses: same(
      losses.map(({ kind }) => cycle.losses[kind].metrics['loss:sum']),
      own.sums,
    ),
    forward: same(cycle.forward, own.logprobs),
    scores: same(cycle.scores, [null, ...own.logprobs]),
    deleted: cycle.saved.length === 1 && cycle.left.length === 0,
    loaded: same(cycle.sampledAgain, cycle.sampled) && cycle.sampled.length === 2,
  };
  console.log(`tinker ${version}: ${JSON.stringify(checks)}; sampled ${JSON.stringify(cycle.sampled)}`);
  if (Object.values(checks).includes(false)) process.exitCode = 1;
}
server.kill('SIGTERM');
