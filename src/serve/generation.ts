import { randomInt } from 'node:crypto';
import type { SampledToken, SamplingOptions, TokenIds } from '../engine/types.ts';
import { UserError } from '../errors.ts';
import { Random } from '../random.ts';
import { ApiError, badRequest } from './apiError.ts';
import type { SamplingFields } from './requests.ts';
import type { ServedModel } from './servedModel.ts';

/** What a sampled sequence was, beside what it told. */
export interface Ended {
  tokens: number;
  /** `stop` also where a stop string ended it. */
  reason: 'stop' | 'length';
}

/** The engine's options for one of the choices that a request asks for: each has a seed of its own. */
export function samplingOptions(
  request: SamplingFields,
  choice: number,
  base: number,
): Omit<SamplingOptions, 'maxTokens'> {
  const topK = request.top_k ?? 0;
  return {
    temperature: request.temperature ?? 1,
    topP: request.top_p ?? 1,
    topK: Math.max(0, topK),
    seed: choice === 0 ? base : Random.of(base, 'choice', choice).uint32(),
  };
}

/** The request's seed, or one of chance; as large as the engine takes. */
export function seedOf({ seed }: SamplingFields): number {
  return seed == null ? randomInt(2 ** 32) : Number(BigInt.asUintN(32, BigInt(seed)));
}

/**
 * Samples one sequence and tells its tokens, until `onToken` says that it is enough or `signal` fires.
 * @throws ApiError 400 where the model cannot take the prompt.
 */
export async function sampleSequence(
  model: ServedModel,
  prompt: TokenIds,
  options: SamplingOptions,
  signal: AbortSignal,
  onToken: (token: SampledToken) => 'enough' | 'more',
): Promise<Ended> {
  const controller = new AbortController();
  const end = () => controller.abort();
  signal.addEventListener('abort', end, { once: true });
  let tokens = 0;
  try {
    const completion = await model.sampler.generate(prompt, options, controller.signal, token => {
      if (controller.signal.aborted) return;
      tokens++;
      if (onToken(token) === 'enough') end();
    });
    return { tokens, reason: controller.signal.aborted ? 'stop' : completion.stopReason };
  } catch (error) {
    if (controller.signal.aborted && !signal.aborted) return { tokens, reason: 'stop' };
    if (error instanceof UserError) throw badRequest(error.message);
    throw error;
  } finally {
    signal.removeEventListener('abort', end);
  }
}

/**
 * What cannot fit, whatever its tokens are, is refused before it takes the time to find them.
 * @throws ApiError 400
 */
export function refuseLongText(model: ServedModel, characters: number): void {
  const most = model.contextTokens * model.vocabulary.longest;
  if (characters > most) {
    const message = `The prompt has ${characters} characters; this model takes ${model.contextTokens} tokens with its answer.`;
    throw new ApiError(400, message, { code: 'context_length_exceeded', param: 'messages' });
  }
}

/** @throws ApiError 400 where the prompt leaves no room for a token. */
export function refuseLongPrompt(model: ServedModel, prompt: TokenIds, tokens = 1): void {
  if (prompt.length + tokens <= model.contextTokens) return;
  throw new ApiError(
    400,
    `The prompt has ${prompt.length} tokens; this model takes ${model.contextTokens} with its answer.`,
    { code: 'context_length_exceeded', param: 'messages' },
  );
}
