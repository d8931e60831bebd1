import type { LocalSampler } from '../../engine/local/engine.ts';
import { bytesOf, sampleResponse } from '../../engine/tinker/messages.ts';
import type { Completion } from '../../engine/types.ts';
import { Random } from '../../random.ts';
import { badRequest } from '../apiError.ts';
import type { SampleBody } from './bodies.ts';
import type { Result } from './futures.ts';
import type { ServedBase } from './servedBase.ts';

/** The continuations that a client asks for, and what the model thinks of the prompt. @throws ApiError 400 */
export async function answerSample(sampler: LocalSampler, base: ServedBase, body: SampleBody): Promise<Result> {
  const prompt = promptOf(body, base);
  const { max_tokens: maxTokens, seed, stop, ...params } = body.sampling_params;
  const first = seed ?? Random.of(performance.now(), Math.random()).uint32();
  const room = base.contextTokens - prompt.length;
  if (room < 1) {
    throw badRequest(`The prompt has ${prompt.length} tokens; this server takes fewer than ${base.contextTokens}.`);
  }
  const [promptLogprobs, completions] = await Promise.all([
    body.prompt_logprobs ? score(sampler, prompt) : undefined,
    Promise.all(
      Array.from({ length: body.num_samples }, (_, i) =>
        sampler.generate(prompt, {
          maxTokens: Math.min(maxTokens ?? room, room),
          seed: first + i,
          temperature: params.temperature,
          topP: params.top_p,
          topK: Math.max(params.top_k, 0),
          stop: stop ?? base.config.eosTokenIds,
        }),
      ),
    ),
  ]);
  return sampleResult(completions, promptLogprobs);
}

function promptOf({ prompt }: SampleBody, { config }: ServedBase): number[] {
  const { chunks } = prompt;
  const tokens = chunks.length === 1 ? chunks[0].tokens : chunks.flatMap(chunk => chunk.tokens);
  if (tokens.length === 0) throw badRequest('The prompt is empty.');
  const outside = tokens.find(token => token >= config.vocabSize);
  if (outside !== undefined) {
    throw badRequest(`The prompt holds token ${outside}; this model has tokens 0 to ${config.vocabSize - 1}.`);
  }
  return tokens;
}

/** Of every token but the first, for which there is none. */
async function score(sampler: LocalSampler, tokens: number[]): Promise<Float32Array> {
  const [{ logprobs }] = await sampler.score([{ tokens, mask: new Uint8Array(tokens.length).fill(1, 1) }]);
  logprobs[0] = Number.NaN;
  return logprobs;
}

function sampleResult(completions: Completion[], promptLogprobs?: Float32Array): Result {
  return {
    protobuf: () =>
      sampleResponse.encode({
        sequences: completions.map(({ tokens, logprobs, stopReason }) => ({
          stopReason: stopReason === 'stop' ? 0 : 1,
          tokens: bytesOf(Int32Array.from(tokens)),
          logprobs: bytesOf(Float32Array.from(logprobs)),
        })),
        promptLogprobs: promptLogprobs && bytesOf(promptLogprobs),
      }),
    json: () => ({
      type: 'sample',
      sequences: completions.map(({ tokens, logprobs, stopReason }) => ({ stop_reason: stopReason, tokens, logprobs })),
      prompt_logprobs: promptLogprobs && Array.from(promptLogprobs, value => (Number.isNaN(value) ? null : value)),
    }),
  };
}
