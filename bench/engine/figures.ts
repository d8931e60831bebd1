import type { Trajectory } from '../../src/agent/trajectory.ts';
import { aroundErrors, distillationDiagnostics } from '../../src/methods/diagnostics.ts';
import { stepDivergences, stepRanges, stepWeights } from '../../src/methods/stepwise.ts';
import { readCheckpoint } from '../../src/model/checkpoint.ts';
import type { ModelConfig } from '../../src/model/config.ts';
import { forwardFlops, trainingFlops } from '../../src/model/flops.ts';
import { Random } from '../../src/random.ts';
import { Peer } from './peer.ts';
import type { Models } from './prepare.ts';
import { median } from './productPeak.ts';

/** One line of the table. */
export interface Figure {
  figure: string;
  value: number;
  unit: string;
  target: number;
  meets: boolean;
}

export interface Bench {
  models: Models;
  threads: number;
  /** Pairs of runs, ours and the peer's in turn; medians are reported. */
  pairs: number;
}

type Measurement = (bench: Bench) => Promise<Figure[]>;

/** Every part of the table by the name that `--only` knows it by. */
export const measurements: Record<string, Measurement> = {
  training,
  scoring,
  decode,
  prefill,
  group,
  memory,
  small,
  length,
  tools,
  weights,
};

const GiB = 2 ** 30;

/** Tokens of the first 64 demonstrations of the shop, the demo's batch of supervised training. */
const demonstrationLengths = [
  208, 206, 203, 206, 206, 198, 204, 206, 159, 206, 204, 159, 161, 159, 159, 201, 206, 319, 202, 161, 202, 204, 290,
  246, 291, 159, 248, 252, 159, 248, 161, 208, 206, 159, 248, 159, 206, 246, 206, 248, 204, 202, 200, 206, 206, 206,
  249, 159, 155, 161, 274, 161, 367, 159, 250, 159, 159, 323, 203, 292, 159, 206, 159, 208,
];

const atLeast = (figure: string, value: number, target: number, unit = '×'): Figure => ({
  figure,
  value,
  unit,
  target,
  meets: value >= target,
});
const atMost = (figure: string, value: number, target: number, unit: string): Figure => ({
  figure,
  value,
  unit,
  target,
  meets: value <= target,
});

/** A full update of the 0.6B shape: 4 sequences of 512, loss on the second half of each. */
async function training({ models, threads, pairs }: Bench): Promise<Figure[]> {
  const config = configOf(models.large);
  const work = { op: 'train', lengths: Array(4).fill(512), repeats: 2 };
  const tokens = 4 * 512;
  const flops = trainingFlops(config, 4, 512, 4 * 256);
  const ours: number[] = [];
  const theirs: number[] = [];
  const fractions: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    await withSod({ checkpoint: models.large, role: 'trainer' }, async sod => {
      const peak = await sod.peak();
      const seconds = await sod.seconds(work);
      ours.push(...seconds);
      fractions.push(flops / median(seconds) / Math.max(peak, await sod.peak()));
    });
    await withTorch(config, 'bfloat16', threads, async torch => theirs.push(...(await torch(work))));
  }
  note(`training: ${rate(tokens, ours)} tokens/s, PyTorch ${rate(tokens, theirs)}`);
  return [
    atLeast('training 0.6B, against PyTorch', median(theirs) / median(ours), 2),
    atLeast('training 0.6B, fraction of the product peak', median(fractions), 0.7, ''),
  ];
}

async function scoring({ models, pairs }: Bench): Promise<Figure[]> {
  const config = configOf(models.large);
  const flops = forwardFlops(config, 4, 512, 4 * 256);
  return withSod({ checkpoint: models.large, role: 'scorer' }, async sod => {
    const fractions: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const peak = await sod.peak();
      const seconds = await sod.seconds({ op: 'score', lengths: Array(4).fill(512), repeats: 1 });
      fractions.push(flops / median(seconds) / Math.max(peak, await sod.peak()));
    }
    return [atLeast('scoring 0.6B, fraction of the product peak', median(fractions), 0.75, '')];
  });
}

/** Tokens a second behind contexts of 512, at three batch sizes; all three programs stay loaded and take turns. */
async function decode({ models, threads, pairs }: Bench): Promise<Figure[]> {
  const config = configOf(models.large);
  const options = { cacheBytes: 5 * GiB };
  return withSod({ checkpoint: models.large, role: 'sampler', options }, sod =>
    withTorch(config, 'bfloat16', threads, torch =>
      withLlama(models.largeGguf, threads, async llama => {
        const figures: Figure[] = [];
        for (const [batch, llamaTarget] of [
          [64, 2],
          [16, 1.7],
          [1, 1],
        ]) {
          const work = { op: 'decode', batch, context: 512, steps: batch === 1 ? 16 : 8, repeats: pairs + 1 };
          const theirSteps = batch === 64 ? 3 : 8;
          const theirs = await llama(work);
          const ours = await sod.seconds(work);
          const pytorch = await torch({ ...work, steps: theirSteps });
          const perStep = (seconds: number[], steps = work.steps) => median(seconds) / steps;
          note(`decode ${batch}: ms a step ${[perStep(ours), perStep(theirs), perStep(pytorch, theirSteps)].map(ms)}`);
          figures.push(
            atLeast(`decode 0.6B, batch ${batch}, against PyTorch`, perStep(pytorch, theirSteps) / perStep(ours), 2),
            atLeast(`decode 0.6B, batch ${batch}, against llama.cpp`, perStep(theirs) / perStep(ours), llamaTarget),
          );
        }
        return figures;
      }),
    ),
  );
}

async function prefill({ models, threads, pairs }: Bench): Promise<Figure[]> {
  const work = { op: 'prefill', prompt: 2048, repeats: 1 };
  return withSod({ checkpoint: models.large, role: 'sampler' }, sod =>
    withLlama(models.largeGguf, threads, async llama => {
      const ratios: number[] = [];
      for (let pair = 0; pair < pairs; pair++) {
        const theirs = median(await llama(work));
        const ours = median(await sod.seconds(work));
        ratios.push(theirs / ours);
        note(`prefill: ${ours.toFixed(2)} s, llama.cpp ${theirs.toFixed(2)} s`);
      }
      return [atLeast('prefill 0.6B of 2048 tokens, against llama.cpp', median(ratios), 2)];
    }),
  );
}

/** 16 samples of one 512-token prompt, 128 tokens each, against the same with 16 prompts. */
async function group({ models }: Bench): Promise<Figure[]> {
  const work = { batch: 16, prompt: 512, steps: 128, repeats: 1 };
  return withSod({ checkpoint: models.large, role: 'trainer', options: { cacheBytes: 2 * GiB } }, async sod => {
    const ratio = async (op: string) => {
      const [shared] = await sod.seconds({ op, ...work, shared: true });
      const [alone] = await sod.seconds({ op, ...work, shared: false, warmups: 0 });
      note(`${op}: ${shared.toFixed(1)} s shared, ${alone.toFixed(1)} s not`);
      return alone / shared;
    };
    return [
      atLeast('group of 16, rollout, prompt shared against not', await ratio('group'), 2.5),
      atLeast('group of 16, training, prompt shared against not', await ratio('trainGroup'), 2.5),
    ];
  });
}

async function memory({ models }: Bench): Promise<Figure[]> {
  return withSod({ checkpoint: models.large, role: 'trainer' }, async sod => {
    await sod.seconds({ op: 'train', lengths: Array(8).fill(512), repeats: 1 });
    return [atMost('full fine-tuning 0.6B, 4096 tokens: peak memory', (await sod.memory()) / GiB, 14, 'GiB')];
  });
}

/**
 * Models of about a million parameters at the demo's work: an update from a batch of its demonstrations, and decoding as far
 * as they go. PyTorch pads a batch to its longest sequence, and computes in bf16: Debian's multiplies fp32 with a reference BLAS.
 */
async function small({ models, threads, pairs }: Bench): Promise<Figure[]> {
  const config = configOf(models.small);
  // The cache is small enough to go round, as in a long rollout: memory that is used for the first time costs more.
  const options = { cacheBytes: GiB / 32 };
  return withSod({ checkpoint: models.small, role: 'trainer', options }, sod =>
    withTorch(config, 'bfloat16', threads, async torch => {
      const works = [
        { op: 'train', lengths: demonstrationLengths, repeats: 2 },
        { op: 'train', lengths: Array(32).fill(256), repeats: 2 },
        { op: 'decode', batch: 64, context: 64, steps: 128, repeats: 7 },
      ];
      const ratios: number[][] = works.map(() => []);
      // So short are they that whatever else the machine does shows: more turns.
      for (let turn = 0; turn < 2 * pairs + 1; turn++) {
        for (const [i, work] of works.entries()) {
          const [ours, theirs] = [median(await sod.seconds(work)), median(await torch(work))];
          ratios[i].push(theirs / ours);
          note(`demo-sized, ${work.op}: ms ${ms(ours)} against ${ms(theirs)}`);
        }
      }
      const [training, unpadded, decoding] = ratios.map(median);
      note(`demo-sized, training on 32 sequences of 256, where nothing is padded: ${unpadded.toFixed(2)} ×`);
      return [
        atLeast('training of a demo-sized model, against PyTorch', training, 4),
        atLeast('decode steps of a demo-sized model, batch 64, against PyTorch', decoding, 5),
      ];
    }),
  );
}

/** Whether the time for a token stays the same when more sequences are packed. */
async function length({ models, pairs }: Bench): Promise<Figure[]> {
  return withSod({ checkpoint: models.large, role: 'scorer' }, async sod => {
    const growth: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const [few] = await sod.seconds({ op: 'score', lengths: Array(2).fill(512), repeats: 1 });
      const [many] = await sod.seconds({ op: 'score', lengths: Array(16).fill(512), repeats: 1 });
      growth.push((many / 16 / (few / 2) - 1) * 100);
    }
    return [atMost('time a token, from 1k to 8k packed tokens', median(growth), 10, '%')];
  });
}

/** How much of the time the engine has nothing to do in 64 rollouts because every one waits for a tool that takes 200 ms. */
async function tools({ models }: Bench): Promise<Figure[]> {
  const options = { cacheBytes: 2 * GiB };
  return withSod({ checkpoint: models.large, role: 'sampler', options }, async sod => {
    const idle = await sod.idle({ op: 'conversations', batch: 64, prompt: 64, turns: 3, steps: 16, toolMs: 200 });
    return [atMost('64 rollouts with tools of 200 ms, engine waiting', idle * 100, 10, '%')];
  });
}

/** d_k, w_k and what is reported of them, beside the update that they belong to: 4 trajectories of 512 tokens. */
async function weights({ models }: Bench): Promise<Figure[]> {
  const random = Random.of('weights');
  const trajectories = Array.from({ length: 4 }, () => randomTrajectory(512, random));
  const teacher = trajectories.map(({ logprobs }) => logprobs.map(s => s + 0.2 * random.normal()));
  const steps = () => {
    const weighting = trajectories.map(({ mask, logprobs }, i) => {
      const divergence = stepDivergences(stepRanges(mask), logprobs, teacher[i]);
      return { divergence, weight: stepWeights(divergence) };
    });
    distillationDiagnostics(trajectories, teacher, weighting);
    aroundErrors(trajectories, weighting, teacher);
  };
  const milliseconds = Array.from({ length: 21 }, () => {
    const start = performance.now();
    steps();
    return performance.now() - start;
  });
  const [update] = await withSod({ checkpoint: models.large, role: 'trainer' }, sod =>
    sod.seconds({ op: 'train', lengths: Array(4).fill(512), repeats: 1 }),
  );
  return [atMost('step weights, share of the update', (median(milliseconds) / 1000 / update) * 100, 0.1, '%')];
}

/** Eight steps, each followed by an observation of the same length. */
function randomTrajectory(length: number, random: Random): Trajectory {
  const mask = Uint8Array.from({ length }, (_, t) => (Math.floor((t * 16) / length) % 2 === 0 ? 1 : 0));
  const logprobs = Float32Array.from(mask, sampled => sampled * -Math.abs(random.normal()));
  const tokens = Array.from({ length }, () => random.below(1000));
  return { taskId: '', tokens, promptTokens: 0, mask, logprobs, steps: [], end: 'answer', reward: 0, correct: false };
}

interface Load {
  checkpoint: string;
  role: 'trainer' | 'scorer' | 'sampler';
  options?: Record<string, unknown>;
}

async function withSod<T>(load: Load, body: (sod: SodPeer) => Promise<T>): Promise<T> {
  const peer = Peer.sod();
  try {
    await peer.request({ op: 'load', ...load });
    return await body({
      seconds: async work => (await peer.request(work)).seconds,
      peak: async () => (await peer.request<{ flops: number }>({ op: 'peak' })).flops,
      memory: async () => (await peer.request<{ bytes: number }>({ op: 'memory' })).bytes,
      idle: async work => (await peer.request<{ idle: number }>(work)).idle,
    });
  } finally {
    await peer.close();
  }
}
interface SodPeer {
  seconds(work: Record<string, unknown>): Promise<number[]>;
  /** Operations a second of the matrix product alone, now. */
  peak(): Promise<number>;
  /** Most bytes that were resident so far. */
  memory(): Promise<number>;
  /** Share of the time of the work in which the engine had nothing to do. */
  idle(work: Record<string, unknown>): Promise<number>;
}

type Run = (work: Record<string, unknown>) => Promise<number[]>;

async function withTorch<T>(config: ModelConfig, dtype: string, threads: number, body: (run: Run) => Promise<T>) {
  const peer = Peer.torch();
  try {
    await peer.request({ op: 'load', config, dtype, threads });
    return await body(async work => (await peer.request(work)).seconds);
  } finally {
    await peer.close();
  }
}

async function withLlama<T>(gguf: string, threads: number, body: (run: Run) => Promise<T>) {
  const peer = Peer.llama();
  try {
    await peer.request({ op: 'load', gguf, threads });
    return await body(async work => (await peer.request(work)).seconds);
  } finally {
    await peer.close();
  }
}

function configOf(checkpoint: string): ModelConfig {
  const opened = readCheckpoint(checkpoint);
  opened.close();
  return opened.config;
}

function rate(tokens: number, seconds: number[]): string {
  return (tokens / median(seconds)).toFixed(0);
}

function ms(seconds: number): string {
  return (seconds * 1000).toFixed(1);
}

function note(text: string): void {
  process.stderr.write(`  ${text}\n`);
}
