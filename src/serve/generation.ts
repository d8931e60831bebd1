import { randomInt } from 'node:crypto';
import type { SampledToken, SamplingOptions, TokenIds } from '../engine/types.ts';
import { UserError } from '../errors.ts';
import { Random } from '../random.ts';
import { badRequest } from './apiError.ts';
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
  request: Omit<SamplingFields, 'response_format'>,
  choice: number,
  base: number,
  stopTokens: TokenIds,
): Omit<SamplingOptions, 'maxTokens'> {
  const topK = request.top_k ?? 0;
  return {
    temperature: request.temperature ?? 1,
    topP: request.top_p ?? 1,
    topK: Math.max(0, topK),
    seed: choice === 0 ? base : Random.of(base, 'choice', choice).uint32(),
    stop: [...(request.ignore_eos ? [] : stopTokens), ...(request.stop_token_ids ?? [])],
  };
}

/** The request's seed, or one of chance, as large as the engine takes; what is larger decides with all its digits. */
export function seedOf({ seed }: Pick<SamplingFields, 'seed'>): number {
  if (seed == null) return randomInt(2 ** 32);
  return seed >= 0 && seed < 2 ** 32 ? Number(seed) : Random.of('seed', String(seed)).uint32();
}

/**
 * Samples one sequence and tells its tokens, until `onToken` says that it is enough or `signal` fires.
 * @throws ApiError 400 where the model cannot take the prompt; the reason of `signal`.
 */
export async function sampleSequence(
  model: ServedModel,
  prompt: TokenIds,
  options: SamplingOptions,
  signal: AbortSignal,
  onToken: (token: SampledToken) => 'enough' | 'more',
): Promise<Ended> {
  signal.throwIfAborted();
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
