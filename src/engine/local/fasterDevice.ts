import { type ModelConfig, parameterCount } from '../../model/config.ts';
import { trainingFlops } from '../../model/flops.ts';
import type { Speed } from './measureDevice.ts';
import { readMeasured } from './measurements.ts';

/** How much faster a GPU has to be to be chosen unasked, in an update and in decoding one sequence. */
const clearly = 2;

/**
 * What `engine.device: auto` means here for a model: the CPU, unless the measurement says that the GPU is clearly faster, or that there
 * is no other. Small models are done before a GPU has begun.
 */
export function fasterDevice(model?: ModelConfig): 'cpu' | 'gpu' {
  const { cpu, gpu } = readMeasured() ?? {};
  if (!gpu) return 'cpu';
  if (!cpu) return 'gpu';
  if (!model) return 'cpu';
  const [onCpu, onGpu] = [taken(model, cpu), taken(model, gpu)];
  return onGpu.every((seconds, i) => clearly * seconds <= onCpu[i]) ? 'gpu' : 'cpu';
}

/** Of a weight in bf16. */
const weightBytes = 2;
/** About so many kernels has a layer, forwards, and backwards as well. */
const [forwardKernels, allKernels] = [10, 30];
const updateTokens = 2048;

/** Seconds of an update, and of one token of one sequence. */
function taken(model: ModelConfig, { flops, bytes, kernelSeconds, answerSeconds }: Speed): number[] {
  const { layers } = model;
  return [
    trainingFlops(model, 1, updateTokens, updateTokens) / flops + layers * allKernels * kernelSeconds + answerSeconds,
    (weightBytes * parameterCount(model)) / bytes + layers * forwardKernels * kernelSeconds + answerSeconds,
  ];
}
