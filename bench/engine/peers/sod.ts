/** This project's engine as one of the programs compared: requests and answers as in `torch_qwen3.py`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { LocalEngine, type LocalEngineOptions } from '../../../src/engine/local/engine.ts';
import type { Datum, Sampler, Scorer, Trainer } from '../../../src/engine/types.ts';
import { Random } from '../../../src/random.ts';
import { native } from '../../../src/tensor/cpu/native.ts';
import type { Precision, Product } from '../product.ts';
import { distillationUpdate } from './distillationUpdate.ts';
import { gpuCeilings } from './gpuCeilings.ts';
import { ownProduct, ownWeightGradient } from './ownProduct.ts';

interface Loaded {
  engine: LocalEngine;
  teacher?: Scorer;
  trainer?: Trainer;
  scorer?: Scorer;
  sampler?: Sampler;
}
interface Work {
  op: string;
  repeats: number;
  warmups?: number;
  batch: number;
  /** Of the sequences. */
  lengths: number[];
  /** Tokens at their beginning that all sequences have in common; default 0. */
  prefix?: number;
  context: number;
  steps: number;
  prompt: number;
  prompts: number;
  samples: number;
  product: Product;
  precision: Precision;
  shared: boolean;
  turns: number;
  toolMs: number;
}

let vocabulary = 0;
/** Contexts to decode behind, computed once and found again in the page cache. */
const contexts: number[][] = [];
const random = Random.of('bench');
let loaded: Loaded | undefined;

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as Work;
  process.stdout.write(`${JSON.stringify(await answer(request))}\n`);
}

async function answer(request: Work): Promise<unknown> {
  switch (request.op) {
    case 'load':
      return load(request as unknown as Parameters<typeof load>[0]);
    case 'cpu':
      return native().cpu();
    case 'gpu':
      return gpuCeilings();
    case 'product':
      return { flops: ownProduct(request.product, request.precision) };
    case 'weightGradient':
      return { flops: ownWeightGradient(request.product, request.precision) };
    case 'memory':
      return { bytes: peakResidentBytes() };
    case 'train':
      return timed(request, () => train(halfTrained(request)));
    case 'score':
      return timed(request, () => score(request));
    case 'prefill':
      return timed(request, () => generate([tokens(request.prompt)], 1));
    case 'decode':
      return decode(request);
    case 'group':
      return timed(request, () => generate(prompts(request), request.steps));
    case 'conversations':
      return idleDuring(() => conversations(request));
    case 'distill':
      return { phases: await distill(request) };
    case 'trainGroup':
      return timed(request, () => train(groupData(request)));
  }
  throw new Error(`unknown op ${request.op}`);
}

/** Without a checkpoint nothing is loaded: the kernels alone are asked. */
async function load(request: {
  checkpoint?: string;
  role: 'trainer' | 'scorer' | 'sampler';
  teacher?: string;
  options?: LocalEngineOptions;
}) {
  const { checkpoint, role, teacher, options } = request;
  if (!checkpoint) return {};
  const engine = await LocalEngine.start(options);
  vocabulary = JSON.parse(readFileSync(join(checkpoint, 'config.json'), 'utf8')).vocab_size;
  loaded = { engine, [role]: await engine[role](checkpoint) };
  if (role === 'trainer') loaded.sampler = await loaded.trainer!.sampler();
  if (teacher) loaded.teacher = await engine.scorer(teacher);
  return {};
}

/** Seconds of each repetition, after those that do not count: one, unless it is said otherwise. */
async function timed({ repeats, warmups = 1 }: Work, body: () => Promise<unknown>): Promise<{ seconds: number[] }> {
  const seconds: number[] = [];
  for (let i = 0; i < warmups + repeats; i++) {
    const start = performance.now();
    await body();
    if (i >= warmups) seconds.push((performance.now() - start) / 1000);
  }
  return { seconds };
}

/** Seconds of each phase in each repetition, after one that does not count. */
async function distill({ prompts, samples, prompt, steps, repeats }: Work): Promise<Record<string, number>[]> {
  const { trainer, sampler, teacher } = loaded!;
  const update = () => {
    const asked = Array.from({ length: prompts }, () => tokens(prompt));
    return distillationUpdate({ trainer: trainer!, sampler: sampler!, teacher: teacher! }, asked, samples, steps);
  };
  await update();
  const phases: Record<string, number>[] = [];
  for (let i = 0; i < repeats; i++) phases.push(await update());
  return phases;
}

/** Share of the time in which the engine had nothing to do; what is run once before does not count. */
async function idleDuring(body: () => Promise<unknown>): Promise<{ idle: number }> {
  await body();
  const before = loaded!.engine.utilization();
  await body();
  return { idle: 1 - loaded!.engine.utilization(before).utilization };
}

async function train(data: Datum[]): Promise<void> {
  await loaded!.trainer!.forwardBackward(data, { kind: 'cross_entropy' });
  await loaded!.trainer!.optimStep({
    learningRate: 1e-6,
    betas: [0.9, 0.999],
    epsilon: 1e-8,
    weightDecay: 0.01,
    clipNorm: 1,
  });
}

/** Sequences of which the second half has a loss. */
function halfTrained({ lengths, prefix = 0 }: Work): Datum[] {
  const beginning = tokens(prefix);
  return lengths.map(length => ({
    tokens: [...beginning, ...tokens(length - prefix)],
    weights: new Float32Array(length).fill(1, Math.floor(length / 2)),
  }));
}

function groupData(request: Work): Datum[] {
  return prompts(request).map(prompt => ({
    tokens: [...prompt, ...tokens(request.steps)],
    weights: new Float32Array(prompt.length + request.steps).fill(1, prompt.length),
  }));
}

async function score({ lengths }: Work): Promise<void> {
  const sequences = lengths.map(length => ({
    tokens: tokens(length),
    mask: new Uint8Array(length).fill(1, Math.floor(length / 2)),
  }));
  await loaded!.scorer!.score(sequences);
}

function prompts({ batch, prompt, shared }: Work): number[][] {
  const one = tokens(prompt);
  return Array.from({ length: batch }, () => (shared ? one : tokens(prompt)));
}

/** A completion of exactly `steps` tokens for each prompt, all under way at once. */
async function generate(all: number[][], steps: number): Promise<void> {
  await Promise.all(all.map((prompt, seed) => loaded!.sampler!.generate(prompt, { maxTokens: steps, seed })));
}

/** `batch` conversations at once: in every turn `steps` tokens, then a tool that takes its time and says as many. */
async function conversations({ batch, prompt, turns, steps, toolMs }: Work): Promise<void> {
  const one = async (seed: number) => {
    const conversation = await loaded!.sampler!.open(tokens(prompt));
    for (let turn = 0; turn < turns; turn++) {
      await conversation.generate({ maxTokens: steps, seed });
      await sleep(toolMs);
      conversation.append(tokens(steps));
    }
    conversation.close();
  };
  await Promise.all(Array.from({ length: batch }, (_, seed) => one(seed)));
}

/** Contexts are computed once; what is timed is one token after the other for all of them. */
async function decode({ batch, context, steps, repeats }: Work): Promise<{ seconds: number[] }> {
  while (contexts.length < batch) contexts.push(tokens(context));
  const used = contexts.slice(0, batch);
  await generate(used, 1);
  return timed({ repeats } as Work, () => generate(used, steps));
}
function tokens(length: number): number[] {
  return Array.from({ length }, () => random.below(vocabulary));
}

function peakResidentBytes(): number {
  return 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
}
