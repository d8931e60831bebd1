import { abortable } from '../../abortable.ts';
import { UserError } from '../../errors.ts';
import { TokenConversation } from '../tokenConversation.ts';
import type {
  Completion,
  Conversation,
  Datum,
  LossSpec,
  SampledToken,
  Sampler,
  SamplingOptions,
  ScoredSequence,
  Scorer,
  Scores,
  TokenIds,
} from '../types.ts';
import type { Answer, Connection } from './connection.ts';
import type { Dialect } from './dialect.ts';
import { future, protobufOf } from './futures.ts';
import { readPerToken } from './lossOutput.ts';
import { floatsOf, forwardBackwardOutput, forwardBackwardRequest, int32sOf, sampleResponse } from './messages.ts';
import type { Sampling } from './sampling.ts';
import { divide, wireDatum } from './trainingData.ts';

/** What a server takes of a model. */
export interface ModelLimits {
  /** Most tokens of a sequence, its prompt included. */
  contextTokens: number;
}

/** A policy or teacher on a server. */
export class TinkerSampler implements Sampler, Scorer {
  readonly limits: ModelLimits;
  readonly #connection: Connection;
  readonly #dialect: Dialect;
  readonly #sampling: Sampling;

  constructor(connection: Connection, dialect: Dialect, limits: ModelLimits, sampling: Sampling) {
    this.#connection = connection;
    this.#dialect = dialect;
    this.limits = limits;
    this.#sampling = sampling;
  }

  async generate(
    prompt: TokenIds,
    options: SamplingOptions,
    signal?: AbortSignal,
    onToken?: (token: SampledToken) => void,
  ): Promise<Completion> {
    refuseUnknown(options);
    const { contextTokens } = this.limits;
    const maxTokens = Math.min(options.maxTokens, contextTokens - prompt.length);
    if (options.maxTokens < 1) return { tokens: [], logprobs: [], stopReason: 'length' };
    if (maxTokens < 1) {
      throw new UserError(
        `the prompt has ${prompt.length} tokens; ${this.#connection.url} takes fewer than ${contextTokens}`,
      );
    }
    const sampled = this.#ask(
      prompt,
      {
        max_tokens: maxTokens,
        seed: (options.seed ?? 0) % this.#dialect.seeds,
        temperature: options.temperature ?? 1,
        top_p: options.topP ?? 1,
        top_k: options.topK || -1,
        stop: options.stop ?? [],
      },
      false,
      answer => readCompletion(answer, maxTokens),
    );
    // The answer is dropped where nobody wants it any more: the API knows no way to tell the server.
    const completion = await abortable(sampled, signal);
    const { tokens, logprobs } = completion;
    if (onToken) for (const [i, token] of tokens.entries()) onToken({ token, logprob: logprobs[i] });
    return completion;
  }

  async open(prompt: TokenIds): Promise<Conversation> {
    return new TokenConversation(this.generate.bind(this), prompt, this.limits.contextTokens);
  }

  score(sequences: ScoredSequence[]): Promise<Scores[]> {
    return this.#dialect.scoresTogether ? this.#scoreTogether(sequences) : this.#scoreEach(sequences);
  }

  /** In one pass, which computes only once what sequences have in common. */
  async #scoreTogether(sequences: ScoredSequence[]): Promise<Scores[]> {
    const data = sequences.map(({ tokens, mask }) => ({ tokens, weights: Float32Array.from(mask) }));
    const loss: LossSpec = { kind: 'cross_entropy' };
    const parts = divide(data, this.#dialect).map(part =>
      this.#sampling.within(session => {
        const request = forwardBackwardRequest.encode({
          modelId: session.id,
          seqId: session.next++,
          data: part.map(datum => wireDatum(datum, loss, this.#dialect, part.length)),
          lossFn: loss.kind,
          forwardOnly: true,
        });
        return future(this.#connection, 'forward_backward', request, answer => readTogether(answer, part));
      }),
    );
    return (await Promise.all(parts)).flat();
  }

  #scoreEach(sequences: ScoredSequence[]): Promise<Scores[]> {
    const params = { max_tokens: 1, temperature: 1, seed: 0 };
    return Promise.all(
      sequences.map(({ tokens, mask }) =>
        this.#ask(tokens, params, true, answer => ({ logprobs: readScores(answer, tokens.length, mask) })),
      ),
    );
  }

  #ask<T>(tokens: TokenIds, params: object, scored: boolean, read: (answer: Answer) => T): Promise<T> {
    return this.#sampling.within(session => {
      const body = {
        type: 'sample',
        sampling_session_id: session.id,
        seq_id: session.next++,
        num_samples: 1,
        prompt: { chunks: [{ type: 'encoded_text', tokens }] },
        sampling_params: params,
        prompt_logprobs: scored,
        topk_prompt_logprobs: 0,
      };
      return future(this.#connection, 'asample', body, read);
    });
  }
}

/** @throws UserError where the API has no words for what is asked */
function refuseUnknown({ grammar, alternatives, rankPrompt }: SamplingOptions): void {
  if (!grammar && !alternatives && rankPrompt === undefined) return;
  throw new UserError('the Tinker API samples without grammars, alternatives and ranks: use the local engine for them');
}

/** @throws Error where the answer is no completion of at most so many tokens */
function readCompletion(answer: Answer, maxTokens: number): Completion {
  const { sequences } = sampleResponse.decode(protobufOf(answer));
  const [{ tokens: tokenBytes, logprobs: logprobBytes, stopReason }] = sequences;
  const tokens = [...int32sOf(tokenBytes)];
  const logprobs = [...floatsOf(logprobBytes)];
  if (tokens.length < 1 || tokens.length > maxTokens || logprobs.length !== tokens.length) {
    throw new Error(`${tokens.length} tokens came with ${logprobs.length} log-probabilities`);
  }
  return { tokens, logprobs, stopReason: stopReason === 0 ? 'stop' : 'length' };
}

function readTogether(answer: Answer, data: readonly Datum[]): Scores[] {
  const message = forwardBackwardOutput.decode(protobufOf(answer));
  const [logprobs, entropies] = ['logprobs', 'entropies'].map(field => readPerToken(message, field, data));
  return data.map((_, i) => ({ logprobs: logprobs[i], entropies: entropies[i] }));
}

/** Servers tell nothing of the first token, or that there is nothing to tell. */
function readScores(answer: Answer, length: number, mask: Uint8Array): Float32Array {
  const told = floatsOf(sampleResponse.decode(protobufOf(answer)).promptLogprobs);
  if (told.length !== length && told.length !== length - 1) {
    throw new Error(`${told.length} log-probabilities came for ${length} tokens`);
  }
  const missing = length - told.length;
  return Float32Array.from(mask, (wanted, t) => (wanted ? told[t - missing] : 0));
}
