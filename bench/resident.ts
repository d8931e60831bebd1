/**
 * How much memory large models take at their peak, and how long they compute, held in different ways: a teacher of Qwen3-4B's shape
 * scores 2 × 512 tokens from a file in q4_K, adapters of rank 32 are trained on as many over one of Qwen3-1.7B's shape in q8_0, and
 * both beside each other. Weights are random. Each in a process of its own: `npm run bench:resident`, which takes 5 GB of disk, up to
 * 13 GiB of memory and half an hour.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalEngine } from '../src/engine/local/engine.ts';
import type { Quantized, Recompute } from '../src/engine/local/memoryNeed.ts';
import { linearNames, parseConfig } from '../src/model/config.ts';
import { publishedConfigs } from '../src/model/published.ts';
import { Random } from '../src/random.ts';
import { writeRandomGguf } from './randomGguf.ts';

/** What a process does. */
interface Measurement {
  title: string;
  models: ('teacher' | 'student')[];
  quantized?: Quantized;
  recompute?: Recompute;
  atMostGiB?: number;
}

const measurements: Measurement[] = [
  { title: 'the teacher, expanded layer by layer', models: ['teacher'], quantized: 'blocks', atMostGiB: 4 },
  { title: 'the teacher, expanded once', models: ['teacher'], quantized: 'whole' },
  { title: 'the student, expanded once', models: ['student'], quantized: 'whole', recompute: 'off' },
  { title: '… its layers computed twice', models: ['student'], quantized: 'whole', recompute: 'on' },
  { title: '… and expanded layer by layer', models: ['student'], quantized: 'blocks', recompute: 'on' },
  { title: 'both, held as they choose', models: ['student', 'teacher'], atMostGiB: 16 },
];

const length = 512;
const lora = { rank: 32, alpha: 32, targets: [...linearNames], seed: 1 };
const adam = { learningRate: 1e-4, betas: [0.9, 0.95] as [number, number], epsilon: 1e-8, weightDecay: 0, clipNorm: 1 };

const [, , folder, measurement] = process.argv;
if (measurement) await measure(folder, JSON.parse(measurement));
else await measureAll();

async function measureAll(): Promise<void> {
  const files = mkdtempSync(join(tmpdir(), 'sod-resident-'));
  try {
    await writeRandomGguf(teacherIn(files), parseConfig(publishedConfigs['Qwen/Qwen3-4B']), () => 'Q4_K');
    await writeRandomGguf(studentIn(files), parseConfig(publishedConfigs['Qwen/Qwen3-1.7B']), () => 'Q8_0');
    for (const measurement of measurements) {
      const args = ['--import', 'tsx', fileURLToPath(import.meta.url), files, JSON.stringify(measurement)];
      const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
      if (status !== 0) process.exitCode = 1;
    }
  } finally {
    rmSync(files, { recursive: true });
  }
}

function teacherIn(folder: string): string {
  return join(folder, 'teacher.gguf');
}

function studentIn(folder: string): string {
  return join(folder, 'student.gguf');
}

async function measure(folder: string, { title, models, quantized, recompute, atMostGiB }: Measurement): Promise<void> {
  const onNotice = (notice: string) => console.log(`  ${notice}`);
  const engine = await LocalEngine.start({ quantized, recompute, onNotice });
  const trainer = models.includes('student') ? await engine.trainer(studentIn(folder), lora) : undefined;
  const scorer = models.includes('teacher') ? await engine.scorer(teacherIn(folder)) : undefined;
  const random = Random.of('tokens');
  const sequences = [1, 2].map(() => Array.from({ length }, () => random.below(150_000)));
  const score = () => scorer?.score(sequences.map(tokens => ({ tokens, mask: new Uint8Array(length).fill(1, 1) })));
  const train = async () => {
    const data = sequences.map(tokens => ({ tokens, weights: new Float32Array(length).fill(1 / length, 1) }));
    await trainer?.forwardBackward(data, { kind: 'cross_entropy' });
    await trainer?.optimStep(adam);
  };
  const times = [
    ...(scorer ? [`${await seconds(score)} to score`] : []),
    ...(trainer ? [`${await seconds(train)} an update`] : []),
  ];
  await engine.close();
  const gib = process.resourceUsage().maxRSS / 2 ** 20;
  const limit = atMostGiB ? ` (to be at most ${atMostGiB})` : '';
  console.log(`${title}: ${gib.toFixed(2)} GiB resident at most${limit}; ${times.join(', ')}`);
  if (atMostGiB && gib > atMostGiB) process.exitCode = 1;
}

/** By the clock, and of all cores together: less depends on what else they do. */
async function seconds(work: () => Promise<unknown> | undefined): Promise<string> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(before);
  return `${((performance.now() - start) / 1000).toFixed(1)} s (${((user + system) / 1e6).toFixed(0)} s of CPU)`;
}
