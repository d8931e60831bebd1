import type { Completion, Conversation, SampledToken, Sampler, SamplingOptions, TokenIds } from './types.ts';

/** A conversation with a server: only its tokens, each time all of them. What the server has computed of them, it may find again. */
export class TokenConversation implements Conversation {
  readonly #generate: Sampler['generate'];
  readonly #contextTokens: number;
  readonly #tokens: number[];
  #isContinued = false;

  /** @param contextTokens most tokens of a prompt and its answer */
  constructor(generate: Sampler['generate'], prompt: TokenIds, contextTokens: number) {
    this.#generate = generate;
    this.#contextTokens = contextTokens;
    this.#tokens = [...prompt];
  }

  async generate(
    options: SamplingOptions,
    signal?: AbortSignal,
    onToken?: (token: SampledToken) => void,
  ): Promise<Completion> {
    if (this.#isContinued && this.#tokens.length >= this.#contextTokens) {
      return { tokens: [], logprobs: [], stopReason: 'length' };
    }
    const completion = await this.#generate([...this.#tokens], options, signal, onToken);
    this.#isContinued = true;
    this.append(completion.tokens);
    return completion;
  }

  append(tokens: TokenIds): void {
    for (const token of tokens) this.#tokens.push(token);
  }

  close(): void {
    this.#tokens.length = 0;
  }
}
