import type { z } from 'zod';
import { UserError } from '../../errors.ts';
import { firstIssue } from '../../schema.ts';
import type { Alternatives, Completion, SamplingOptions, TokenIds } from '../types.ts';
import type { Call } from './connection.ts';

/** A sequence of whose tokens a server is asked from one on, the second at the earliest: the first has nothing before it. */
export interface AskedSequence {
  tokens: TokenIds;
  from: number;
}

/** What a server says of given tokens. All arrays are as long as the tokens; what is before `from` may be missing. */
export interface ToldScores {
  logprobs: Float32Array;
  /** In nats, where the server tells them. */
  entropies?: Float32Array;
  /** Where they were asked for. */
  alternatives?: Alternatives;
  /** How the server spells each token, where it tells that. */
  texts: (string | undefined)[];
}

export type Sampling = Pick<SamplingOptions, 'maxTokens' | 'temperature' | 'topP' | 'topK' | 'stop' | 'seed'>;

/** How one kind of server is asked. */
export interface Dialect {
  /** Most tokens of sequences that are scored in one request; whatever has more has a request of its own. */
  scoredTogether: number;
  /** Tells the entropies of given tokens. */
  tellsEntropies: boolean;
  score(model: string, sequences: readonly AskedSequence[], alternatives: number): Call<ToldScores[]>;
  sample(model: string, prompt: TokenIds, options: Sampling): Call<Completion>;
  /** What it is asked for, one after the other, to take new weights from a folder that it sees under the same path. */
  load(folder: string, version: string): Call<void>[];
}

/** @throws UserError that says which part of the answer is another than was asked for. */
export function understood<T>(schema: z.ZodType<T>, answer: unknown): T {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  throw new UserError(
    `its answer lacks what was asked for (${firstIssue(result.error)}): wanted is a server that takes token ids and ` +
      'tells ids and log-probabilities, such as vLLM, SGLang or sod serve',
  );
}

/** The tokens that a server tells in one place, the most probable first: id and log-probability. */
export type ToldPlace = readonly (readonly [token: number, logprob: number])[];

/** At most so many of each place; undefined where nothing was told. */
export function alternativesOf(places: readonly (ToldPlace | undefined)[], most: number): Alternatives {
  const each = places.reduce((least, told) => Math.min(least, told?.length ?? least), most);
  const size = places.length * each;
  const result = { each, tokens: new Int32Array(size), logprobs: new Float32Array(size) };
  places.forEach((told, t) => {
    told?.slice(0, each).forEach(([token, logprob], i) => {
      result.tokens[t * each + i] = token;
      result.logprobs[t * each + i] = logprob;
    });
  });
  return result;
}

/** @throws UserError where the answer is about another number of sequences than were sent. */
export function refuseOtherCount(sent: number, told: number): void {
  if (told !== sent) throw new UserError(`its answer is about ${told} of ${sent} sequences`);
}

/** @throws UserError where the server has read other tokens than were sent. */
export function refuseOtherIds(sent: TokenIds, read: TokenIds): void {
  const place = sent.findIndex((token, t) => read[t] !== token);
  if (place < 0 && read.length === sent.length) return;
  const what =
    read.length === sent.length
      ? `token ${place} was ${sent[place]} and came back as ${read[place]}`
      : `${sent.length} tokens were sent and ${read.length} came back`;
  throw new UserError(
    `it re-tokenizes: ${what}. What a student has sampled is scored by its ids alone: take a server that keeps them, ` +
      'such as vLLM, SGLang or sod serve',
  );
}
