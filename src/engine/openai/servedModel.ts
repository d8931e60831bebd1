import { z } from 'zod';
import { UserError } from '../../errors.ts';
import { TokenConversation } from '../tokenConversation.ts';
import type {
  Alternatives,
  Completion,
  Conversation,
  SampledToken,
  Sampler,
  SamplingOptions,
  ScoredSequence,
  Scorer,
  Scores,
  TokenIds,
} from '../types.ts';
import { parseAddress } from './address.ts';
import { sod, vllm } from './completions.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { type AskedSequence, type Dialect, type ToldScores, understood } from './dialect.ts';
import { sglang } from './sglang.ts';

const modelList = z.object({
  data: z.array(z.object({ id: z.string(), owned_by: z.string().nullish(), max_model_len: z.int().nullish() })).min(1),
});
type Listed = z.output<typeof modelList>['data'][number];

/** By what servers say of themselves in their list of models; whoever says something else is asked as vLLM is. */
const dialects: Record<string, Dialect> = { sod, vllm, sglang };

/** Sequences that are scored in one request. */
const mostTogether = 64;

/** A model behind OpenAI's API, by token ids alone. */
export class ServedModel implements Sampler, Scorer {
  /** What the server calls it. */
  readonly name: string;
  /** Most tokens of a prompt and its answer, where the server tells it. */
  readonly contextTokens: number;
  readonly #connection: Connection;
  readonly #dialect: Dialect;

  private constructor(connection: Connection, { id, owned_by: owner, max_model_len: length }: Listed) {
    this.#connection = connection;
    this.name = id;
    this.contextTokens = length ?? Number.POSITIVE_INFINITY;
    this.#dialect = dialects[owner ?? ''] ?? vllm;
  }

  /** @throws UserError where there is no such server or model. */
  static async open(address: string, options: ConnectionOptions = {}): Promise<ServedModel> {
    const { url, model } = parseAddress(address);
    const connection = new Connection(url, options);
    try {
      const read = (answer: unknown) => chosen(understood(modelList, answer).data, model);
      return new ServedModel(connection, await connection.ask({ path: '/v1/models', read }));
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async score(sequences: ScoredSequence[], alternatives = 0): Promise<Scores[]> {
    const told = await this.told(
      sequences.map(({ tokens, mask }) => {
        const length = 1 + Math.max(mask.lastIndexOf(1), 0);
        const from = mask.indexOf(1);
        // Of none, where none is wanted.
        return { tokens: tokens.slice(0, length), from: from < 0 ? length : Math.max(from, 1) };
      }),
      alternatives,
    );
    return told.map(({ logprobs, entropies, alternatives }, i) => {
      const { mask } = sequences[i];
      const wanted = (values: Float32Array) => Float32Array.from(mask, (isWanted, t) => (isWanted ? values[t] : 0));
      return {
        logprobs: wanted(logprobs),
        entropies: entropies && wanted(entropies),
        ...(alternatives && { alternatives: wantedOf(alternatives, mask) }),
      };
    });
  }

  /** Whether scores have entropies. */
  get tellsEntropies(): boolean {
    return this.#dialect.tellsEntropies;
  }

  /** All that the server says of given tokens. */
  async told(sequences: readonly AskedSequence[], alternatives = 0): Promise<ToldScores[]> {
    const requests = together(sequences, this.#dialect.scoredTogether);
    const told = await Promise.all(
      requests.map(request => this.#connection.ask(this.#dialect.score(this.name, request, alternatives))),
    );
    return told.flat();
  }

  /** Samples none where the prompt is as long as it can be. Tokens are told when all are sampled. */
  async generate(
    prompt: TokenIds,
    options: SamplingOptions,
    signal?: AbortSignal,
    onToken?: (token: SampledToken) => void,
  ): Promise<Completion> {
    const { alternatives, rankPrompt, grammar } = options;
    if (alternatives || rankPrompt !== undefined || grammar) {
      throw new UserError('alternatives, rankPrompt and grammar are for the local engine: a server is asked for none');
    }
    const maxTokens = Math.min(options.maxTokens, this.contextTokens - prompt.length);
    if (maxTokens < 1) return { tokens: [], logprobs: [], stopReason: 'length' };
    const completion = await this.#connection.ask(
      this.#dialect.sample(this.name, prompt, { ...options, maxTokens }),
      signal,
    );
    completion.tokens.forEach((token, t) => {
      onToken?.({ token, logprob: completion.logprobs[t] });
    });
    return completion;
  }

  /**
   * Has the server take new weights; no signal ends that in the middle, where the folder must not go away.
   * @param folder of a model, which the server sees under the same path
   * @param version by which servers that keep one know the weights
   * @throws UserError where it does not
   */
  async load(folder: string, version: string): Promise<void> {
    const { signal } = new AbortController();
    for (const call of this.#dialect.load(folder, version)) await this.#connection.ask(call, signal);
  }

  async open(prompt: TokenIds): Promise<Conversation> {
    return new TokenConversation(this.generate.bind(this), prompt, this.contextTokens);
  }

  close(): void {
    this.#connection.close();
  }
}

/** As long as the mask, 0 where it is. */
function wantedOf({ each, ...told }: Alternatives, mask: Uint8Array): Alternatives {
  const size = mask.length * each;
  const wanted = (values: ArrayLike<number>) => (_: unknown, i: number) => (mask[Math.floor(i / each)] ? values[i] : 0);
  return {
    each,
    tokens: Int32Array.from({ length: size }, wanted(told.tokens)),
    logprobs: Float32Array.from({ length: size }, wanted(told.logprobs)),
  };
}

/** Neighbours with at most so many tokens in all; whoever has more is alone. */
function together(sequences: readonly AskedSequence[], mostTokens: number): AskedSequence[][] {
  const requests: AskedSequence[][] = [];
  let room = 0;
  for (const sequence of sequences) {
    const { length } = sequence.tokens;
    room -= length;
    if (room < 0 || requests.at(-1)!.length === mostTogether) {
      room = mostTokens - length;
      requests.push([]);
    }
    requests.at(-1)!.push(sequence);
  }
  return requests;
}

function chosen(listed: readonly Listed[], name: string | undefined): Listed {
  const names = listed.map(({ id }) => id).join(', ');
  if (name === undefined) {
    if (listed.length === 1) return listed[0];
    throw new UserError(`it has several models: name one of them behind the address, as in #${listed[0].id}: ${names}`);
  }
  const model = listed.find(({ id }) => id === name);
  if (model) return model;
  throw new UserError(`it has no model ${name}; it has ${names}`);
}
