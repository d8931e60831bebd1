/**
 * Adapters beside all weights: how many tokens a second each trains, in pairs, and the most memory that a large model takes:
 * `npm run bench:lora`. Accuracies are compared by `npx sod compare bench/variants.yaml`.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { LocalEngine, type LocalTrainer } from '../../src/engine/local/engine.ts';
import type { Datum } from '../../src/engine/types.ts';
import { linearNames } from '../../src/model/config.ts';
import { publishedConfigs, qwen3Small } from '../../src/model/published.ts';
import { Random } from '../../src/random.ts';
import { openCpu } from '../../src/tensor/cpu/cpu.ts';
import { median } from '../engine/median.ts';
import { demoSized, writeRandomQwen3 } from '../randomQwen3.ts';

const program = new Command('bench:lora')
  .addOption(new Option('--only <what>', 'one of the two').choices(['speed', 'memory']))
  .option('--pairs <count>', 'how often the sides take turns', Number, 9)
  .option('--cpu', 'count the CPU seconds of one thread: where other programs compute beside it')
  .option(
    '--models <folder>',
    'where the random models are kept',
    fileURLToPath(new URL('../../runs/bench', import.meta.url)),
  )
  .parse();
const { only, pairs, cpu, models } = program.opts<{ only?: string; pairs: number; cpu?: boolean; models: string }>();
mkdirSync(models, { recursive: true });

const leastRatio = 1.2;
const mostGiB = openCpu().hasBf16 ? 9 : 12;
const adam = { learningRate: 1e-4, betas: [0.9, 0.95] as [number, number], epsilon: 1e-8, weightDecay: 0, clipNorm: 1 };

/** The shape of the demo's student, whose random weights cost what trained ones do. */
const demoStudent = {
  ...demoSized,
  hidden_size: 96,
  intermediate_size: 256,
  num_hidden_layers: 3,
  vocab_size: 517,
};

/** As many weights as both sides fit beside each other in 8 GiB, in the proportions of the whole model. */
const eightLayers = { ...qwen3Small, num_hidden_layers: 8, vocab_size: 43_008 };

const results: boolean[] = [];
if (only !== 'memory') {
  const student = await model('demo-student', demoStudent);
  results.push(await speed("the demo's student", student, { rank: 8, lengths: Array(32).fill(200) }));
  results.push(
    await speed('8 layers of Qwen3-0.6B', await model('eight-layers', eightLayers), { rank: 32, lengths: [512, 512] }),
  );
}
if (only !== 'speed') {
  const shape = publishedConfigs['Qwen/Qwen3-1.7B'] as typeof qwen3Small;
  results.push(memory(await model('qwen3-1.7b', shape)));
}
process.exitCode = results.every(Boolean) ? 0 : 1;

/** @returns whether it is fast enough */
async function speed(
  name: string,
  checkpoint: string,
  { rank, lengths }: { rank: number; lengths: number[] },
): Promise<boolean> {
  const engine = await LocalEngine.start({ threads: cpu ? 1 : 0, activationBytes: 2 ** 30 });
  const lora = { rank, alpha: 32, targets: linearNames, seed: 0 };
  const sides = [await engine.trainer(checkpoint), await engine.trainer(checkpoint, lora)];
  const data = lengths.map((length, index) => datum(length, demoStudent.vocab_size, index));
  const tokens = lengths.reduce((a, b) => a + b, 0);
  for (const side of sides) await update(side, data);
  const ratios: number[] = [];
  const speeds = sides.map((): number[] => []);
  for (let pair = 0; pair < pairs; pair++) {
    const [all, adapters] = [await update(sides[0], data), await update(sides[1], data)];
    ratios.push(all / adapters);
    speeds[0].push(tokens / all);
    speeds[1].push(tokens / adapters);
  }
  await engine.close();
  const [all, adapters] = speeds.map(side => Math.round(median(side)));
  console.log(
    `${name}: ${all} tokens a ${cpu ? 'CPU second' : 'second'} with all weights, ${adapters} with adapters of rank ${rank}: ` +
      `${median(ratios).toFixed(2)} times (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)} in ${pairs} pairs)`,
  );
  return median(ratios) >= leastRatio;
}

/** In a process of its own, of which the system tells the peak. @returns whether it is little enough */
function memory(checkpoint: string): boolean {
  const script = fileURLToPath(new URL('peak.ts', import.meta.url));
  const told = execFileSync(process.execPath, ['--import', 'tsx', script, checkpoint], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { gib, seconds } = JSON.parse(told);
  console.log(
    `Qwen3-1.7B, adapters of rank 32, 2 × 512 tokens: ${gib.toFixed(1)} GiB at most, ${seconds.toFixed(0)} s an update`,
  );
  return gib <= mostGiB;
}

/** @returns the seconds of an update */
async function update(trainer: LocalTrainer, data: Datum[]): Promise<number> {
  const began = seconds();
  await trainer.forwardBackward(data, { kind: 'cross_entropy' });
  await trainer.optimStep(adam);
  return seconds() - began;
}

function seconds(): number {
  if (!cpu) return performance.now() / 1000;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function datum(length: number, vocabulary: number, index: number): Datum {
  const random = Random.of('bench', index);
  const tokens = Array.from({ length }, () => random.below(vocabulary));
  return { tokens, weights: new Float32Array(length).fill(1 / length) };
}

/** Written where it is missing. */
async function model(name: string, config: typeof qwen3Small): Promise<string> {
  const folder = join(models, name);
  if (!existsSync(folder)) await writeRandomQwen3(folder, config);
  return folder;
}
