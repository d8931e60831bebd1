import type {
  AdamParams,
  Datum,
  LoraOptions,
  LossSpec,
  SampledToken,
  SamplingOptions,
  SaveOptions,
  ScoredSequence,
  TokenIds,
} from '../types.ts';
import type { Quantized, Recompute } from './memoryNeed.ts';

export interface OpenRequest {
  kind: 'open';
  checkpoint: string;
  trainable: boolean;
  /** Nothing will be sampled from it. */
  scoresOnly?: boolean;
  /** Adapters over it are to take its weights. */
  shared?: boolean;
  lora?: LoraOptions;
}

/** What the engine's worker thread is asked to do. `model` is the number that `open` answered with. */
export type Request =
  | OpenRequest
  | {
      kind: 'generate';
      model: number;
      prompt: TokenIds;
      options: SamplingOptions;
      conversation?: number;
      /** Whether each token is told as soon as it is sampled. */
      told: boolean;
    }
  | { kind: 'status'; model: number }
  | { kind: 'score'; model: number; sequences: ScoredSequence[]; alternatives?: number }
  | { kind: 'forwardBackward'; model: number; data: Datum[]; loss: LossSpec }
  | { kind: 'optimStep'; model: number; adam: AdamParams }
  | { kind: 'save'; model: number; dir: string; options: SaveOptions }
  | { kind: 'load'; model: number; dir: string; optimizer: boolean }
  | { kind: 'free'; model: number };

/** What a sampler's model has under way. */
export interface SamplerStatus {
  /** Sequences that are advanced side by side. */
  running: number;
  waiting: number;
  /** Tokens that the cache has room for, and how many of them belong to sequences under way. */
  cacheTokens: number;
  heldTokens: number;
}

/**
 * Requests carry an id. `abort` names the id of a generation under way, `closed` a conversation that generates no more; they
 * are not answered themselves; `closeGpu` is, by `gpuClosed`, and is the last.
 */
export type ToWorker = { id: number; request: Request } | { abort: number } | { closed: number } | { closeGpu: true };

/** Answers, and in between what the person may want to know. */
export type FromWorker =
  | { notice: string }
  | { gpuClosed: true }
  | { told: { id: number; token: SampledToken }[] }
  | { id: number; value: unknown }
  | { id: number; error: { name: string; message: string; stack?: string } };

export interface WorkerOptions {
  /** auto: the CPU, unless `sod devices` found a GPU that is clearly faster for the model. */
  device: 'auto' | 'cpu' | 'gpu';
  dtype: 'auto' | 'f32' | 'bf16';
  /** Threads for the kernels; 0: as many as the machine has cores. */
  threads: number;
  activationBytes: number;
  cacheBytes: number;
  maxBatch: number;
  /** Whether whoever asks wants a core all the time, as a server and its clients do. */
  serving: boolean;
  recompute: Recompute;
  quantized: Quantized;
}

const GiB = 2 ** 30;
export const engineDefaults: WorkerOptions = {
  device: 'auto',
  dtype: 'auto',
  threads: 0,
  activationBytes: 2.5 * GiB,
  cacheBytes: 1 * GiB,
  maxBatch: 64,
  serving: false,
  recompute: 'auto',
  quantized: 'auto',
};
