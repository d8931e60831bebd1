import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ModelConfig, parameterCount } from '../../src/model/config.ts';
import { forwardFlops, trainingFlops } from '../../src/model/flops.ts';
import { demoSized, writeRandomQwen3 } from '../randomQwen3.ts';
import { type Bench, configOf, inTurns, ms, note } from './bench.ts';
import type { Figure } from './figure.ts';
import { hasCuda } from './install.ts';
import { median } from './median.ts';
import type { GpuCeilings } from './peers/gpuCeilings.ts';
import { Sod } from './sod.ts';
import { type Rival, rivals, withTorch } from './torch.ts';

/** The model that is measured: Qwen3-0.6B's shape, or one for trying the measurement itself. */
export const shapes = ['0.6b', 'tiny'] as const;
export type Shape = (typeof shapes)[number];

interface Sizes {
  sequences: number;
  tokens: number;
  prompt: number;
  context: number;
  steps: number;
}

const sizes: Record<Shape, Sizes> = {
  '0.6b': { sequences: 4, tokens: 512, prompt: 2048, context: 512, steps: 16 },
  tiny: { sequences: 2, tokens: 24, prompt: 48, context: 16, steps: 2 },
};

/** Some work, and what it takes at least: operations in products, and bytes that each of its steps reads. */
interface Task {
  name: string;
  role: 'trainer' | 'scorer' | 'sampler';
  options?: { cacheBytes: number };
  work: Record<string, unknown> & { op: string };
  flops: number;
  bytes: number;
  steps?: number;
}

/** Weights are bf16, keys and values f32. */
const [weightBytes, keyBytes] = [2, 4];

export interface GpuBench extends Pick<Bench, 'programs' | 'pairs' | 'threads'> {
  folder: string;
  shape: Shape;
  only?: string[];
}

/** The figures of the machine's GPU; against PyTorch where it is one of NVIDIA's. */
export async function measureGpu(bench: GpuBench): Promise<Figure[]> {
  const { programs, shape, only, pairs } = bench;
  const model = await prepareModel(bench.folder, shape);
  const config = configOf(model);
  const torches = { ...bench, torches: hasCuda() ? (['current'] as const) : [], torchDevice: 'cuda' as const };
  const ceilings = () => Sod.with({ programs }, {}, sod => sod.gpu());
  const before = await ceilings();
  const measured: { task: Task; seconds: number; peers: Rival[] }[] = [];
  for (const task of tasks(config, sizes[shape]).filter(({ name }) => !only || only.includes(name.split(',')[0]))) {
    const peers = await rivals(torches, config, task.work);
    const ours: number[] = [];
    await inTurns(pairs, [
      () =>
        Sod.with(
          { programs },
          { checkpoint: model, role: task.role, options: { device: 'gpu', ...task.options } },
          async sod => ours.push(...(await sod.seconds(task.work))),
        ),
      ...peers.map(({ program, dtype, seconds }) => async () => {
        seconds.push(...(await withTorch(program, torches, config, dtype, run => run(task.work))));
      }),
    ]);
    measured.push({ task, seconds: median(ours), peers });
    const others = peers.map(({ program, dtype, seconds }) => `, ${program.title} in ${dtype} ${ms(median(seconds))}`);
    note(`${task.name}: ${ms(median(ours))} ms${others.join('')}`);
  }
  const now = faster(before, await ceilings());
  return figures(shape, now, measured);
}

/** Faster of two measurements. */
function faster(a: GpuCeilings, b: GpuCeilings): GpuCeilings {
  return {
    name: a.name,
    arithmeticFlops: Math.max(a.arithmeticFlops, b.arithmeticFlops),
    productFlops: Math.max(a.productFlops, b.productFlops),
    bytes: Math.max(a.bytes, b.bytes),
  };
}

function figures(
  shape: Shape,
  { name, arithmeticFlops, productFlops, bytes }: GpuCeilings,
  measured: { task: Task; seconds: number; peers: Rival[] }[],
): Figure[] {
  const figure = (figure: string, value: number, unit = ''): Figure => ({ figure, isa: name, value, unit });
  return [
    figure('multiply-adds in registers', arithmeticFlops / 1e9, 'GFLOP/s'),
    figure('product', productFlops / 1e9, 'GFLOP/s'),
    figure('memory, copied', bytes / 1e9, 'GB/s'),
    ...measured.flatMap(({ task, seconds, peers }) => {
      const { steps = 1 } = task;
      const least = steps * Math.max(task.flops / productFlops, task.bytes / bytes);
      return [
        figure(`${task.name} ${shape}`, (1000 * seconds) / steps, 'ms'),
        figure(`${task.name} ${shape}, fraction of what product and memory allow`, least / seconds),
        ...peers.map(({ program, dtype, seconds: theirs }) =>
          figure(`${task.name} ${shape}, against ${program.title} in ${dtype}`, median(theirs) / seconds, '×'),
        ),
      ];
    }),
  ];
}

function tasks(config: ModelConfig, { sequences, tokens, prompt, context, steps }: Sizes): Task[] {
  const lengths = Array(sequences).fill(tokens);
  const targets = sequences * Math.ceil(tokens / 2);
  const weights = weightBytes * parameterCount(config);
  return [
    {
      name: 'training',
      role: 'trainer',
      work: { op: 'train', lengths, repeats: 1 },
      flops: trainingFlops(config, sequences, tokens, targets),
      bytes: weights,
    },
    {
      name: 'scoring',
      role: 'scorer',
      work: { op: 'score', lengths, repeats: 1 },
      flops: forwardFlops(config, sequences, tokens, targets),
      bytes: weights,
    },
    {
      name: 'prefill',
      role: 'sampler',
      work: { op: 'prefill', prompt, repeats: 1 },
      flops: forwardFlops(config, 1, prompt, 1),
      bytes: weights,
    },
    ...[1, 16, 64].map((batch): Task => {
      const { layers, heads, kvHeads, headDim } = config;
      const perToken = keyBytes * 2 * layers * kvHeads * headDim;
      return {
        name: `decode, batch ${batch}`,
        role: 'sampler',
        options: { cacheBytes: Math.ceil(1.1 * batch * (context + steps + 64) * perToken) },
        work: { op: 'decode', batch, context, steps, repeats: 1 },
        flops: forwardFlops(config, batch, 1, batch) + batch * context * layers * 2 * 2 * heads * headDim,
        bytes: weights + batch * context * perToken,
        steps,
      };
    }),
  ];
}

async function prepareModel(folder: string, shape: Shape): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const model = join(folder, `qwen3-${shape}`);
  const tiny = { ...demoSized, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2 };
  if (!existsSync(model)) await (shape === 'tiny' ? writeRandomQwen3(model, tiny) : writeRandomQwen3(model));
  return model;
}
