import { z } from 'zod';
import { dialectNames } from '../engine/tinker/dialect.ts';
import { section } from '../schema.ts';
import { serverUrlSchema } from '../serverUrl.ts';

/** Which engine a recipe trains on, and where its policy samples. */

const count = z.number().int().positive();
const nonNegative = z.number().nonnegative();

const localEngine = section({
  kind: z.literal('local').optional(),
  /** auto: the CPU, unless `sod devices` found a GPU that is clearly faster for the model. */
  device: z.enum(['auto', 'cpu', 'gpu']).optional(),
  dtype: z.enum(['auto', 'f32', 'bf16']).default('auto'),
  /** Default: all cores. */
  threads: count.max(1024).optional(),
  /** Memory for the activations of one training or scoring pass. */
  activationBytes: count.optional(),
  /** Memory for keys and values while sampling. */
  cacheBytes: count.optional(),
  /** Most sequences that are sampled at once. */
  maxBatch: count.optional(),
  /** Whether training computes each layer twice, to keep less; auto: where activations would not fit. */
  recompute: z.enum(['auto', 'on', 'off']).optional(),
  /** Weights of a quantised file that are not trained: as they are stored, expanded for each pass, or once; auto: as it fits. */
  quantized: z.enum(['auto', 'blocks', 'whole']).optional(),
});

/** A server that speaks the Tinker API. Its key is taken from TINKER_API_KEY. */
const tinkerEngine = section({
  kind: z.literal('tinker'),
  url: serverUrlSchema(8000, 'TINKER_API_KEY'),
  /** Needed where a server does not say what it is; `sod serve --tinker` does. */
  dialect: z.enum(dialectNames).optional(),
  /** What the server calls models, by the names of their folders here. Default: the same. */
  models: z.record(z.string(), z.string().min(1)).optional(),
  /** In dollars for a million tokens: what a plan's cost is made of. */
  prices: section({ prefill: nonNegative, sample: nonNegative, train: nonNegative }).optional(),
});

export const engineSchema = z
  .discriminatedUnion('kind', [localEngine, tinkerEngine], 'must be local or tinker')
  .prefault({});

/** Samples in the place of this machine: before every iteration it gets the weights as they are. Its key is taken from SOD_API_KEY. */
export const policyServerSchema = section({
  /** Of vLLM, SGLang or `sod serve`. */
  url: serverUrlSchema(8000, 'SOD_API_KEY'),
  /** Folder that both see under the same path, of this run alone: the weights lie there until the server has others. */
  weights: z.string().min(1),
  /** Nats by which it may find a prompt's tokens more or less probable than this machine does, on average. */
  tolerance: z.number().positive().default(0.1),
});
