import type { Conversation, Sampler, SamplingOptions, TokenIds } from '../../src/engine/types.ts';

/** A policy that says given turns, whatever it is told, with a log-probability of −(turn + 1); it records what it saw. */
export class ScriptedSampler implements Sampler {
  readonly #turns: readonly TokenIds[];
  /** All tokens of each conversation, sampled and appended. */
  readonly conversations: { tokens: number[]; options: SamplingOptions[]; isClosed: boolean }[] = [];

  constructor(turns: readonly TokenIds[]) {
    this.#turns = turns;
  }

  async open(prompt: TokenIds): Promise<Conversation> {
    const conversation = { tokens: [...prompt], options: [] as SamplingOptions[], isClosed: false };
    this.conversations.push(conversation);
    return {
      generate: async (options, signal) => {
        signal?.throwIfAborted();
        const turn = conversation.options.push(options) - 1;
        const tokens = this.#turns[turn].slice(0, options.maxTokens);
        conversation.tokens.push(...tokens);
        const isStopped = options.stop?.includes(tokens[tokens.length - 1]);
        return { tokens, logprobs: tokens.map(() => -(turn + 1)), stopReason: isStopped ? 'stop' : 'length' };
      },
      append: tokens => {
        conversation.tokens.push(...tokens);
      },
      close: () => {
        conversation.isClosed = true;
      },
    };
  }

  generate(): never {
    throw new Error('A rollout holds a conversation.');
  }
}
