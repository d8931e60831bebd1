import { parentPort, workerData } from 'node:worker_threads';
import { inGiB } from '../../bytes.ts';
import { explained } from '../../systemErrors.ts';
import { type Cpu, openCpu } from '../../tensor/cpu/cpu.ts';
import { device, useDevice } from '../../tensor/currentDevice.ts';
import type { Gpu } from '../../tensor/gpu/gpu.ts';
import type { Completion, SampledToken } from '../types.ts';
import type { Generator } from './generator.ts';
import { kernelsText } from './kernels.ts';
import { availableMemory } from './memory.ts';
import { passesTogether, total } from './memoryNeed.ts';
import { LocalModel } from './model.ts';
import { WeightsOpener } from './openWeights.ts';
import type { FromWorker, OpenRequest, Request, ToWorker } from './protocol.ts';
import type { Settings } from './settings.ts';
import { inTurns, Turns } from './turns.ts';

/**
 * The engine's thread: owns the models. What they generate, score and learn takes turns, piece by piece, and requests are read
 * between them.
 */
const port = parentPort!;
const options = workerData as Settings;
const gpu = options.device === 'gpu' ? await onGpu() : undefined;
const cpu = gpu ? undefined : onCpu();
const opener = new WeightsOpener();
const models = new Map<number, LocalModel>();
/** A turn of each generator, which several models may have. */
const steps = new WeakMap<Generator, () => boolean>();
let opened = 0;
/** Conversations between two turns: for them a tool may be at work. */
const away = new Set<number>();
/** What a conversation goes on with that has become as long as it can be. */
const noTokens: Completion = { tokens: [], logprobs: [], stopReason: 'length' };
/** Generations that wait until the weights are what they were asked for. */
const starting = new Set<number>();
/** Each model's generation, a step a turn, and all passes, which share theirs: sampling is not slower the more is scored. */
const turns = new Turns();
const passes = new Turns(passesTogether);
const passTurn = () => passes.turn();
let computing = false;
/** Where nobody asks for anything, the system has the memory that is kept for the next pass. */
const idle = setTimeout(() => computing || device().trim(), 5_000).unref();
/** Tokens sampled in this step, for those who want to be told. */
const told: { id: number; token: SampledToken }[] = [];

port.on('message', async (message: ToWorker) => {
  if ('abort' in message) {
    starting.delete(message.abort);
    for (const model of models.values()) if (model.generating) model.generator.abort(message.abort);
    return;
  }
  if ('closeGpu' in message) {
    await gpu?.close();
    answer({ gpuClosed: true });
    return;
  }
  if ('closed' in message) {
    away.delete(message.closed);
    return;
  }
  const { id, request } = message;
  try {
    answer({ id, value: await handle(id, request) });
  } catch (error) {
    const { name, message, stack } = explained(error) as Error;
    answer({ id, error: { name, message, stack } });
  }
});

async function onGpu(): Promise<Gpu> {
  const [{ Gpu }, { gpuDevice }, { keptTiles }] = await Promise.all([
    import('../../tensor/gpu/gpu.ts'),
    import('../../tensor/gpu/gpuDevice.ts'),
    import('./measurements.ts'),
  ]);
  const gpu = Gpu.open();
  gpu.tiles = keptTiles(gpu.info.name);
  useDevice(gpuDevice(gpu));
  return gpu;
}

function onCpu(): Cpu {
  const cpu = openCpu(options.threads);
  useDevice(cpu.device);
  return cpu;
}

function answer(message: FromWorker): void {
  port.postMessage(message);
}

function handle(id: number, request: Request): unknown {
  if (request.kind !== 'status') idle.refresh();
  if (request.kind === 'open') return open(request);
  const model = models.get(request.model);
  if (!model) throw new Error('the model was freed');
  const { order } = model;
  switch (request.kind) {
    case 'generate':
      return generate(id, model, request);
    case 'status':
      return model.generator.status();
    case 'score':
      return order.reading(() => inTurns(model.score(request.sequences, request.alternatives), joinPasses));
    case 'forwardBackward':
      return order.learning(() => inTurns(model.forwardBackward(request.data, request.loss), joinPasses));
    case 'optimStep':
      return order.changing(() => model.optimStep(request.adam));
    case 'save':
      return order.reading(() => model.save(request.dir, request.options));
    case 'load':
      return order.changing(() => load(model, request.dir, request.optimizer));
    case 'free':
      models.delete(request.model);
      return order.changing(() => model.free());
  }
}

async function generate(
  id: number,
  model: LocalModel,
  { prompt, options, conversation, told: isTold }: Extract<Request, { kind: 'generate' }>,
): Promise<Completion> {
  starting.add(id);
  await model.order.changed;
  if (!starting.delete(id)) throw new DOMException('The generation was aborted', 'AbortError');
  const isContinued = conversation !== undefined && away.has(conversation);
  if (isContinued && prompt.length >= model.generator.contextTokens) return noTokens;
  const onToken = isTold ? (token: SampledToken) => told.push({ id, token }) : undefined;
  const completion = model.generate(id, prompt, options, onToken);
  joinGeneration(model);
  if (conversation === undefined) return completion;
  away.delete(conversation);
  return completion.finally(() => away.add(conversation));
}

function open({ kind: _, checkpoint, ...role }: OpenRequest): number {
  const { dtype } = options;
  const modelOptions = { ...options, ...role, onMask: () => joinGeneration(model) };
  const model = new LocalModel(checkpoint, opener.open(checkpoint, modelOptions), modelOptions);
  models.set(opened, model);
  const { need, inBlocks, recompute } = model.plan;
  const parts = [
    dtype === 'bf16' && !cpu?.hasBf16 ? 'bf16, multiplied as f32' : dtype,
    ...(cpu
      ? [`kernels for ${cpu.isa}`, `${cpu.threads} ${cpu.threads === 1 ? 'thread' : 'threads'}`]
      : [gpu!.info.name]),
    ...(inBlocks ? ['weights stay in the blocks of their file and are expanded layer by layer'] : []),
    ...(recompute === 'on' ? ['layers are computed twice, to keep less'] : []),
  ];
  const free = gpu ? '' : `; ${inGiB(availableMemory())} GiB are free`;
  answer({ notice: `${checkpoint}: ${parts.join(', ')}, up to ${inGiB(total(need))} GiB${free}` });
  return opened++;
}

function load(model: LocalModel, dir: string, optimizer: boolean): void {
  const kernels = model.load(dir, optimizer).map(kernelsText);
  const now = kernels.pop();
  if (kernels.length === 0) return;
  answer({
    notice:
      `${dir} was computed by ${kernels.join(', then ')}; it goes on with ${now}: ` +
      'results may differ in their last bits from those of an uninterrupted run',
  });
}

function joinGeneration({ generator }: LocalModel): void {
  const step = steps.get(generator) ?? (() => generator.step(!options.serving && away.size === 0));
  steps.set(generator, step);
  join(step);
}

function joinPasses(turn: () => boolean): void {
  passes.join(turn);
  join(passTurn);
}

/** Who has work takes turns from now on. */
function join(turn: () => boolean): void {
  turns.join(turn);
  if (computing) return;
  computing = true;
  setImmediate(compute);
}

/** A turn; messages are read before the next one. */
function compute(): void {
  computing = turns.turn();
  if (told.length > 0) answer({ told: told.splice(0) });
  if (computing) setImmediate(compute);
  else idle.refresh();
}
