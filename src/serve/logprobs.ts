import type { RankedToken, SampledToken, TokenLogprob } from '../engine/types.ts';
import type { Vocabulary } from '../text/vocabulary.ts';

/** Log-probabilities in the shapes of OpenAI's API and vLLM's extension of it. JSON has no infinities. */
export class LogprobFormat {
  readonly #vocabulary: Vocabulary;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** An entry of a chat choice's `logprobs.content`. */
  chat(sampled: SampledToken) {
    return { ...this.#entry(sampled), top_logprobs: (sampled.alternatives ?? []).map(other => this.#entry(other)) };
  }

  /** The `logprobs` of a completion; offsets count characters from `textOffset`. */
  completion(sampled: readonly SampledToken[], textOffset: number) {
    let offset = textOffset;
    const offsets = sampled.map(({ token }) => {
      const at = offset;
      offset += this.text(token).length;
      return at;
    });
    return {
      tokens: sampled.map(({ token }) => this.text(token)),
      token_logprobs: sampled.map(({ logprob }) => finite(logprob)),
      top_logprobs: sampled.map(({ alternatives = [] }) =>
        Object.fromEntries(alternatives.map(other => [this.text(other.token), finite(other.logprob)])),
      ),
      text_offset: offsets,
    };
  }

  /** vLLM's `prompt_logprobs`: by token id, the given token first; the first place has nothing before it. */
  prompt(ranked: readonly RankedToken[]) {
    return [null, ...ranked.map(token => this.#ranked(token))];
  }

  /** A token as text; bytes that are no whole character become U+FFFD. */
  text(token: number): string {
    const bytes = this.#vocabulary.bytes(token);
    return bytes ? Buffer.from(bytes).toString('utf8') : (this.#vocabulary.control(token) ?? '');
  }

  #ranked({ alternatives, ...given }: RankedToken) {
    const others = alternatives
      .map((other, i) => ({ ...other, rank: i + 1 }))
      .filter(({ token }) => token !== given.token);
    return Object.fromEntries(
      [given, ...others].map(({ token, logprob, rank }) => [
        token,
        { logprob: finite(logprob), rank, decoded_token: this.text(token) },
      ]),
    );
  }

  #entry({ token, logprob }: TokenLogprob) {
    const bytes = this.#vocabulary.bytes(token) ?? Buffer.from(this.#vocabulary.control(token) ?? '');
    return { token: this.text(token), logprob: finite(logprob), bytes: [...bytes] };
  }
}

function finite(logprob: number): number {
  return Math.max(logprob, -9999);
}
