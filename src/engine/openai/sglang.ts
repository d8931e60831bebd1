import { z } from 'zod';
import { Passing } from '../../http/patience.ts';
import type { Completion, TokenIds } from '../types.ts';
import {
  alternativesOf,
  type Dialect,
  refuseOtherCount,
  refuseOtherIds,
  type ToldPlace,
  understood,
} from './dialect.ts';
import { updateFromDisk } from './loading.ts';

const path = '/generate';

/** Log-probability, id, text. */
const loggedToken = z.tuple([z.number().nullable(), z.int().nonnegative(), z.string().nullish()]);
const scoredAnswer = z.array(
  z.object({
    meta_info: z.object({
      input_token_logprobs: z.array(loggedToken),
      input_top_logprobs: z.array(z.array(loggedToken).nullable()).nullish(),
    }),
  }),
);
const sampledAnswer = z.object({
  meta_info: z.object({
    prompt_tokens: z.int(),
    output_token_logprobs: z.array(loggedToken),
    finish_reason: z.object({ type: z.string() }),
  }),
});

/** SGLang's own `/generate`: its OpenAI API takes token ids, but does not tell any. */
export const sglang: Dialect = {
  scoredTogether: 0,
  tellsEntropies: false,
  load: updateFromDisk,
  score: (_, sequences, alternatives) => ({
    path,
    body: {
      input_ids: sequences.map(({ tokens }) => tokens),
      sampling_params: { max_new_tokens: 1, temperature: 0 },
      return_logprob: true,
      logprob_start_len: 0,
      top_logprobs_num: alternatives,
      return_text_in_logprobs: true,
    },
    read(answer) {
      const told = understood(scoredAnswer, answer).map(({ meta_info }) => meta_info);
      refuseOtherCount(sequences.length, told.length);
      return told.map(({ input_token_logprobs: logged, input_top_logprobs: best }, i) => {
        refuseOtherIds(
          sequences[i].tokens,
          logged.map(([, id]) => id),
        );
        return {
          logprobs: Float32Array.from(logged, ([logprob]) => logprob ?? 0),
          texts: logged.map(([, , text]) => text ?? undefined),
          ...(alternatives > 0 && best && { alternatives: alternativesOf(best.map(placeOf), alternatives) }),
        };
      });
    },
  }),

  sample: (_, prompt, { maxTokens, temperature = 1, topP = 1, topK = 0, stop = [], seed = 0 }) => ({
    path,
    body: {
      input_ids: prompt,
      sampling_params: {
        max_new_tokens: maxTokens,
        temperature,
        top_p: topP,
        top_k: topK || -1,
        min_p: 0,
        repetition_penalty: 1,
        sampling_seed: seed,
        // Not with ignore_eos, which there means these as well.
        stop_token_ids: stop,
      },
      return_logprob: true,
      logprob_start_len: -1,
    },
    read: answer => completionIn(answer, prompt, temperature),
  }),
};

function placeOf(best: z.output<typeof loggedToken>[] | null): ToldPlace | undefined {
  return best?.flatMap(([logprob, id]) => (logprob === null ? [] : [[id, logprob] as const]));
}

function completionIn(answer: unknown, prompt: TokenIds, temperature: number): Completion {
  const {
    prompt_tokens: promptTokens,
    output_token_logprobs: told,
    finish_reason,
  } = understood(sampledAnswer, answer).meta_info;
  if (promptTokens !== prompt.length) refuseOtherIds(prompt, prompt.slice(0, promptTokens));
  const { type } = finish_reason;
  if (type !== 'stop' && type !== 'length') throw new Passing(`ended an answer early (${type})`);
  return {
    tokens: told.map(([, id]) => id),
    // At another temperature they are those of the distribution that it made, not the policy's: nobody may learn from them.
    logprobs: told.map(([logprob]) => (temperature === 1 ? (logprob ?? Number.NaN) : Number.NaN)),
    stopReason: type,
  };
}
