import { parentPort, workerData } from 'node:worker_threads';
import { inGiB } from '../../bytes.ts';
import { explained } from '../../systemErrors.ts';
import { native } from '../../tensor/native.ts';
import type { Completion, SampledToken } from '../types.ts';
import { kernelsText } from './kernels.ts';
import { availableMemory } from './memory.ts';
import { LocalModel } from './model.ts';
import { WeightsOpener } from './openWeights.ts';
import { type FromWorker, precisionOf, type Request, type ToWorker, type WorkerOptions } from './protocol.ts';

/**
 * The engine's thread: owns the models, answers requests in the order they come, and advances what is being generated
 * between them.
 */
const port = parentPort!;
const options = workerData as WorkerOptions;
if (options.threads > 0) native.setThreads(options.threads);
const opener = new WeightsOpener();
const models = new Map<number, LocalModel>();
let opened = 0;
/** Conversations between two turns: for them a tool may be at work. */
const away = new Set<number>();
/** What a conversation goes on with that has become as long as it can be. */
const noTokens: Completion = { tokens: [], logprobs: [], stopReason: 'length' };
let advancing = false;
/** Where nobody asks for anything, the system has the memory that is kept for the next pass. */
const idle = setTimeout(() => advancing || native.trim(), 5_000).unref();
/** Tokens sampled in this step, for those who want to be told. */
const told: { id: number; token: SampledToken }[] = [];

port.on('message', async (message: ToWorker) => {
  if ('abort' in message) {
    for (const model of models.values()) if (model.generating) model.generator.abort(message.abort);
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

function answer(message: FromWorker): void {
  port.postMessage(message);
}

function handle(id: number, request: Request): unknown {
  if (request.kind !== 'status') idle.refresh();
  if (request.kind === 'open') return open(request);
  const model = models.get(request.model);
  if (!model) throw new Error('the model was freed');
  switch (request.kind) {
    case 'generate': {
      const { prompt, options, conversation } = request;
      const isContinued = conversation !== undefined && away.has(conversation);
      if (isContinued && prompt.length >= model.generator.contextTokens) return noTokens;
      const onToken = request.told ? (token: SampledToken) => told.push({ id, token }) : undefined;
      const completion = model.generator.generate(id, prompt, options, onToken);
      advance();
      if (conversation === undefined) return completion;
      away.delete(conversation);
      return completion.finally(() => away.add(conversation));
    }
    case 'status':
      return model.generator.status();
    case 'score':
      return model.score(request.sequences);
    case 'forwardBackward':
      return model.forwardBackward(request.data, request.loss);
    case 'optimStep':
      return model.optimStep(request.adam);
    case 'save':
      return model.save(request.dir, request.options);
    case 'load':
      return load(model, request.dir, request.optimizer);
    case 'free':
      models.delete(request.model);
      return model.free();
  }
}

function open({ checkpoint, trainable, lora }: Extract<Request, { kind: 'open' }>): number {
  const dtype = precisionOf(options.dtype);
  const modelOptions = { ...options, dtype, trainable, lora, onMask: advance };
  const model = new LocalModel(checkpoint, opener.open(checkpoint, modelOptions), modelOptions);
  models.set(opened, model);
  const need = Object.values(model.need).reduce((sum, bytes) => sum + bytes, 0);
  const { isa, bf16, threads } = native.cpu();
  const products = dtype === 'f32' || bf16 ? dtype : 'bf16, multiplied as f32';
  answer({
    notice:
      `${checkpoint}: ${products}, kernels for ${isa}, ${threads} ${threads === 1 ? 'thread' : 'threads'}, ` +
      `up to ${inGiB(need)} GiB; ${inGiB(availableMemory())} GiB are free`,
  });
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

/** Steps every generating model in turn; messages are read between steps. */
function advance(): void {
  if (advancing) return;
  advancing = true;
  const turn = () => {
    const busy = [...models.values()].filter(model => model.generating);
    const more = busy.map(model => model.generator.step(away.size === 0));
    if (told.length > 0) answer({ told: told.splice(0) });
    advancing = more.includes(true);
    if (advancing) setImmediate(turn);
    else idle.refresh();
  };
  setImmediate(turn);
}
