import { z } from 'zod';
import { alpha, targetsOf } from '../../engine/tinker/dialect.ts';
import type { LoraOptions } from '../../engine/types.ts';
import { firstIssue } from '../../schema.ts';
import { ApiError } from '../apiError.ts';

/** The JSON bodies of the Tinker API, as far as this server reads them; keys that it does not know change nothing. */

const id = z.string().min(1).max(200);
const sequenceNumber = z.int().nonnegative().nullish();
/** Of a checkpoint, among those of its model. */
const name = z.string().regex(/^[A-Za-z0-9_-]{1,100}$/, 'must be letters, digits, _ and -');
const path = z.string().max(400);
const finite = z.number();

export const sessionBody = z.object({ session_id: id });
export const modelBody = z.object({ model_id: id });
export const retrieveBody = z.object({ request_id: id });

/** Adapters that are to be trained in the place of all weights; rank 0: all weights. Of the LM head there are none. */
const loraConfig = z
  .object({
    rank: z.int().min(0).max(4096),
    seed: z.int().nullish(),
    train_attn: z.boolean().default(true),
    train_mlp: z.boolean().default(true),
  })
  .refine(({ train_attn, train_mlp }) => train_attn || train_mlp, 'must train the layers of attention or of the MLP')
  .transform(({ rank, seed, ...layers }): LoraOptions | undefined =>
    rank === 0 ? undefined : { rank, alpha, targets: targetsOf(layers), seed: seed ?? 0 },
  );

export const createModelBody = sessionBody.extend({
  base_model: path,
  model_seq_id: sequenceNumber,
  lora_config: loraConfig.nullish(),
});
export type CreateModelBody = z.output<typeof createModelBody>;

export const optimStepBody = modelBody.extend({
  seq_id: sequenceNumber,
  /** Defaults of the SDK. */
  adam_params: z
    .object({
      learning_rate: finite.nonnegative().default(1e-4),
      beta1: finite.min(0).lt(1).default(0.9),
      beta2: finite.min(0).lt(1).default(0.95),
      eps: finite.positive().default(1e-12),
      weight_decay: finite.nonnegative().default(0),
      /** Largest global gradient norm; 0 is no clipping. */
      grad_clip_norm: finite.nonnegative().default(0),
    })
    .prefault({}),
});

export const saveWeightsBody = modelBody.extend({
  seq_id: sequenceNumber,
  path: name,
  overwrite: z.boolean().nullish(),
});
/** To be kept under a name, or to be sampled from for as long as they stay as they are. */
export const saveForSamplerBody = modelBody
  .extend({ seq_id: sequenceNumber, path: name.nullish(), sampling_session_seq_id: sequenceNumber })
  .refine(({ path, sampling_session_seq_id }) => path || sampling_session_seq_id != null, {
    path: ['path'],
    message: 'must be a name, or sampling_session_seq_id be given',
  });
/** Into a model, or into a new one of a session. */
export const loadWeightsBody = z.union([
  modelBody.extend({ seq_id: sequenceNumber, path, optimizer: z.boolean().nullish() }),
  sessionBody.extend({ model_seq_id: z.int().nonnegative(), path, optimizer: z.boolean().nullish() }),
]);
export const weightsInfoBody = z.object({ tinker_path: path });

export const createSamplingSessionBody = sessionBody.extend({
  sampling_session_seq_id: sequenceNumber,
  base_model: path.nullish(),
  model_path: path.nullish(),
});

const chunk = z.object({
  type: z.literal('encoded_text', 'must be encoded_text: models here read nothing else'),
  tokens: z.custom<number[]>(isTokens, 'must be up to ten million token ids'),
});

export const sampleBody = z.object({
  sampling_session_id: id.nullish(),
  base_model: path.nullish(),
  model_path: path.nullish(),
  seq_id: sequenceNumber,
  num_samples: z.int().min(1).max(128).default(1),
  prompt: z.object({ chunks: z.array(chunk).max(10_000) }),
  sampling_params: z
    .object({
      /** Default: what the model's context has room for. */
      max_tokens: z.int().positive().nullish(),
      seed: z.int().nullish(),
      temperature: finite.nonnegative().default(1),
      top_k: z.int().default(-1),
      top_p: finite.positive().max(1).default(1),
      /** Default: the model's end tokens. */
      stop: z.array(z.int('must be token ids: this server has no tokenizer')).max(64).nullish(),
    })
    .prefault({}),
  prompt_logprobs: z.boolean().nullish(),
  topk_prompt_logprobs: z
    .literal(0, 'must be 0: this server tells the log-probabilities of the prompt alone')
    .nullish(),
});
export type SampleBody = z.output<typeof sampleBody>;

/** Looked at in one loop: a schema of each number would take a tenth of what a short completion does. */
function isTokens(value: unknown): boolean {
  return Array.isArray(value) && value.length <= 1e7 && value.every(token => Number.isSafeInteger(token) && token >= 0);
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** @throws ApiError 400 or 422 that names the place */
export function readBody<T>(schema: z.ZodType<T>, bytes: Uint8Array): T {
  let json: unknown;
  try {
    json = JSON.parse(utf8.decode(bytes));
  } catch (error) {
    throw new ApiError(400, `The body is no JSON: ${(error as Error).message}`);
  }
  const result = schema.safeParse(json);
  if (!result.success) throw new ApiError(422, firstIssue(result.error));
  return result.data;
}
