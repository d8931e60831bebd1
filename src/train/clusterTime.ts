import { type ModelConfig, parameterCount } from '../model/config.ts';
import { forwardFlops, trainingFlops } from '../model/flops.ts';

/** How long an on-policy run takes on accelerators, simulated from what their makers state and how much of it is reached. */

export interface Accelerator {
  name: string;
  gib: number;
  /** Dense bf16 operations a second. */
  flops: number;
  /** Bytes of memory a second. */
  bandwidth: number;
}

/** From their data sheets. */
export const accelerators: readonly Accelerator[] = [
  { name: 'RTX 4090', gib: 24, flops: 165e12, bandwidth: 1.01e12 },
  { name: 'A100', gib: 80, flops: 312e12, bandwidth: 2.04e12 },
  { name: 'H200', gib: 141, flops: 989e12, bandwidth: 4.8e12 },
];

/** What is taken for granted; a run that has been measured tells better. */
export const assumptions = {
  /** Share of the operations that training and scoring reach, and of the bandwidth that sampling does. */
  usedFlops: 0.4,
  usedBandwidth: 0.6,
  /** Seconds of the shortest decoding step, however few sequences there are. */
  leastStep: 0.004,
  /** Length of a response as a share of the limit, on average; some reach it. */
  meanResponse: 0.3,
  /** Seconds that a trajectory waits for its tools, all calls together. */
  toolSeconds: 10,
  /** Seconds until the samplers have an iteration's new weights. */
  syncSeconds: 5,
  /** Share of the memory that keys and values may take while sampling. */
  cacheShare: 0.8,
};

export interface OnPolicyWork {
  model: ModelConfig;
  teacher?: ModelConfig;
  /** Whether all weights are trained: else adapters. */
  trainsAll: boolean;
  iterations: number;
  /** An iteration. */
  sequences: number;
  promptTokens: number;
  /** The limit. */
  responseTokens: number;
}

/** Seconds of the whole run. */
export interface RunTime {
  rollouts: number;
  teacher: number;
  training: number;
  /** New weights on their way to the samplers. */
  sync: number;
}

/** Every accelerator samples its share of an iteration, then all score, then all train: nothing overlaps. */
export function timeOn(accelerator: Accelerator, count: number, work: OnPolicyWork): RunTime {
  const { model, teacher, trainsAll, iterations, sequences, promptTokens, responseTokens } = work;
  const mean = assumptions.meanResponse * responseTokens;
  const computed = (flops: number) => flops / (count * accelerator.flops * assumptions.usedFlops);
  const length = promptTokens + mean;
  return {
    rollouts: iterations * rolloutSeconds(accelerator, Math.ceil(sequences / count), work),
    teacher: teacher ? iterations * computed(forwardFlops(teacher, sequences, length, sequences * mean)) : 0,
    training: iterations * computed(trainingFlops(model, sequences, length, sequences * mean, trainsAll)),
    sync: iterations * assumptions.syncSeconds,
  };
}

/**
 * The accelerator that waits longest samples so many responses, as many at a time as their keys and values fit; a response that ends gives its place to
 * the next, until none waits. In the end fewer and fewer are left, and the longest alone decides.
 */
function rolloutSeconds(accelerator: Accelerator, sequences: number, work: OnPolicyWork): number {
  const { model, promptTokens, responseTokens } = work;
  const keysAndValues = 2 * bf16Bytes * model.layers * model.kvHeads * model.headDim;
  const mean = assumptions.meanResponse * responseTokens;
  const room = assumptions.cacheShare * accelerator.gib * 2 ** 30;
  const places = Math.max(1, Math.min(sequences, Math.floor(room / (keysAndValues * (promptTokens + mean / 2)))));
  const step = (under: number, context: number) =>
    Math.max(
      assumptions.leastStep,
      (bf16Bytes * parameterCount(model) + under * context * keysAndValues) /
        (accelerator.bandwidth * assumptions.usedBandwidth),
      (under * 2 * parameterCount(model)) / (accelerator.flops * assumptions.usedFlops),
    );
  let seconds = (((sequences - places) * mean) / places) * step(places, promptTokens + mean / 2);
  let done = 0;
  for (const [i, length] of lengths(places, work.sequences, mean, responseTokens).entries()) {
    seconds += (length - done) * step(places - i, promptTokens + (done + length) / 2);
    done = length;
  }
  return seconds + assumptions.toolSeconds;
}

/** Of `count` of `all` responses, the shortest first: spread exponentially up to the limit, with the longest of all among them. */
function lengths(count: number, all: number, mean: number, limit: number): number[] {
  const length = (i: number, of: number) => Math.min(limit, -mean * Math.log(1 - (i + 0.5) / of));
  return Array.from({ length: count }, (_, i) => (i < count - 1 ? length(i, count) : length(all - 1, all)));
}

const bf16Bytes = 2;
