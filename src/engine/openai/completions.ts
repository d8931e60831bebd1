import { z } from 'zod';
import { UserError } from '../../errors.ts';
import { Passing } from '../../http/patience.ts';
import type { Completion, TokenIds } from '../types.ts';
import type { Call } from './connection.ts';
import {
  type AskedSequence,
  alternativesOf,
  type Dialect,
  refuseOtherCount,
  refuseOtherIds,
  type Sampling,
  type ToldPlace,
  type ToldScores,
  understood,
} from './dialect.ts';
import { reload, updateFromDisk } from './loading.ts';

const path = '/v1/completions';
const ids = z.array(z.int().nonnegative());

/** By token id: the given one, and perhaps others. */
const rankedPlaces = z.array(
  z.record(z.string(), z.object({ logprob: z.number(), decoded_token: z.string().nullish() })).nullable(),
);
const rankedAnswer = z.object({ choices: z.array(z.object({ prompt_logprobs: rankedPlaces })) });

const scoredPrompt = z.object({
  token_ids: ids,
  /** Of what is told: as text, and in nats. */
  tokens: z.array(z.string()),
  logprobs: z.array(z.number()),
  entropies: z.array(z.number()),
  /** In the place of each, best first: id and log-probability. */
  alternatives: z.array(z.array(z.tuple([z.int().nonnegative(), z.number()]))).optional(),
});
const scoredAnswer = z.object({ choices: z.array(z.object({ prompt_scores: scoredPrompt })) });

const sampledAnswer = z.object({
  choices: z
    .array(
      z.object({
        token_ids: ids,
        prompt_token_ids: ids,
        logprobs: z.object({ token_logprobs: z.array(z.number()) }),
        finish_reason: z.string(),
      }),
    )
    .length(1),
});

/** vLLM's extension of `/v1/completions`: prompts as token ids, `prompt_logprobs`, `return_token_ids`. */
export const vllm: Dialect = {
  scoredTogether: 0,
  tellsEntropies: false,
  score: (model, sequences, alternatives) => ({
    path,
    // A prompt alone is no request there: one token is sampled, and not looked at.
    body: { model, prompt: tokensOf(sequences), prompt_logprobs: alternatives, max_tokens: 1, temperature: 0 },
    read(answer) {
      const { choices } = understood(rankedAnswer, answer);
      refuseOtherCount(sequences.length, choices.length);
      return choices.map(({ prompt_logprobs: told }, i) => ranked(told, sequences[i].tokens, alternatives));
    },
  }),
  sample,
  load: reload,
};

/**
 * The same of `sod serve`, which also tells entropies. Sequences that share a beginning are sent together: it is computed once,
 * and what comes of it is to the last bit what the engine computes of them in training.
 */
export const sod: Dialect = {
  // Within the largest body that it takes by default.
  scoredTogether: 100_000,
  tellsEntropies: true,
  score: (model, sequences, alternatives) => ({
    path,
    body: {
      model,
      prompt: tokensOf(sequences),
      prompt_scores: sequences.map(({ from }) => from),
      ...(alternatives > 0 && { prompt_alternatives: alternatives }),
      max_tokens: 0,
    },
    read(answer) {
      const { choices } = understood(scoredAnswer, answer);
      refuseOtherCount(sequences.length, choices.length);
      return choices.map(({ prompt_scores: told }, i) => scored(told, sequences[i], alternatives));
    },
  }),
  sample,
  load: updateFromDisk,
};

function tokensOf(sequences: readonly AskedSequence[]): TokenIds[] {
  return sequences.map(({ tokens }) => tokens);
}

function ranked(told: z.output<typeof rankedPlaces>, tokens: TokenIds, alternatives: number): ToldScores {
  const given = told.map((entries, t) => (t === 0 ? undefined : entries?.[tokens[t]]));
  // Where the token that was sent is not among those told of, another stood in its place.
  const read = told.map((entries, t) => (t === 0 || given[t] ? tokens[t] : Number(Object.keys(entries ?? {})[0])));
  refuseOtherIds(tokens, read);
  return {
    logprobs: Float32Array.from(given, entry => entry?.logprob ?? 0),
    texts: given.map(entry => entry?.decoded_token ?? undefined),
    ...(alternatives > 0 && { alternatives: alternativesOf(told.map(best), alternatives) }),
  };
}

/** The tokens that were told of in a place, the most probable first. */
function best(place: z.output<typeof rankedPlaces>[number]): ToldPlace | undefined {
  const told = Object.entries(place ?? {}).map(([token, { logprob }]) => [Number(token), logprob] as const);
  return place ? told.sort(([, a], [, b]) => b - a) : undefined;
}

function scored(told: z.output<typeof scoredPrompt>, { tokens, from }: AskedSequence, most: number): ToldScores {
  refuseOtherIds(tokens, told.token_ids);
  const places = tokens.length - from;
  for (const [name, { length }] of Object.entries(told)) {
    if (name === 'token_ids' || length === places) continue;
    throw new UserError(`its answer has ${length} ${name} of ${places} tokens`);
  }
  const behind = (values: readonly number[]) => {
    const all = new Float32Array(tokens.length);
    all.set(values, from);
    return all;
  };
  const before = Array.from({ length: from }, () => undefined);
  return {
    logprobs: behind(told.logprobs),
    entropies: behind(told.entropies),
    texts: [...before, ...told.tokens],
    ...(told.alternatives && { alternatives: alternativesOf([...before, ...told.alternatives], most) }),
  };
}

function sample(model: string, prompt: TokenIds, options: Sampling): Call<Completion> {
  const { maxTokens, temperature = 1, topP = 1, topK = 0, stop = [], seed = 0 } = options;
  const body = {
    model,
    prompt,
    max_tokens: maxTokens,
    // All is said: what is not, a server takes from the model's generation_config.json.
    temperature,
    top_p: topP,
    top_k: topK || -1,
    min_p: 0,
    repetition_penalty: 1,
    seed,
    stop_token_ids: stop,
    ignore_eos: true,
    logprobs: 0,
    return_token_ids: true,
  };
  return { path, body, read: answer => completionIn(answer, prompt) };
}

function completionIn(answer: unknown, prompt: TokenIds): Completion {
  const [choice] = understood(sampledAnswer, answer).choices;
  const { token_ids: tokens, logprobs, finish_reason: reason } = choice;
  refuseOtherIds(prompt, choice.prompt_token_ids);
  if (reason !== 'stop' && reason !== 'length') throw new Passing(`ended an answer early (${reason})`);
  if (logprobs.token_logprobs.length !== tokens.length) {
    throw new UserError(
      `its answer has ${tokens.length} tokens and ${logprobs.token_logprobs.length} log-probabilities`,
    );
  }
  return { tokens, logprobs: logprobs.token_logprobs, stopReason: reason };
}
