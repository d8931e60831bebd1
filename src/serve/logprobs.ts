import type { Alternatives, RankedToken, SampledToken, Scores, TokenIds, TokenLogprob } from '../engine/types.ts';
import type { Vocabulary } from '../text/vocabulary.ts';

/** A token of a completion; the first of a text has nothing before it that could make it likely. */
export interface LoggedToken {
  token: number;
  logprob: number | null;
  alternatives?: TokenLogprob[];
}

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
  completion(told: readonly LoggedToken[], textOffset: number) {
    let offset = textOffset;
    const offsets = told.map(({ token }) => {
      const at = offset;
      offset += this.text(token).length;
      return at;
    });
    return {
      tokens: told.map(({ token }) => this.text(token)),
      token_logprobs: told.map(({ logprob }) => (logprob === null ? null : finite(logprob))),
      top_logprobs: told.map(token => this.#best(token)),
      text_offset: offsets,
    };
  }

  /** vLLM's `prompt_logprobs`: by token id, the given token and the `most` best; the first place has nothing before it. */
  prompt(ranked: readonly RankedToken[], most: number) {
    return [null, ...ranked.map(token => this.#ranked(token, most))];
  }

  /** Our own `prompt_scores`: from one token on, in nats, as training scores them. */
  scored(tokens: TokenIds, from: number, { logprobs, entropies, alternatives }: Scores) {
    return {
      token_ids: tokens,
      tokens: Array.from(tokens.slice(from), token => this.text(token)),
      logprobs: Array.from(logprobs.subarray(from), finite),
      entropies: Array.from(entropies!.subarray(from)),
      ...(alternatives && { alternatives: placesOf(alternatives).slice(from) }),
    };
  }

  /** A token as text; bytes that are no whole character become U+FFFD. */
  text(token: number): string {
    const bytes = this.#vocabulary.bytes(token);
    return bytes ? Buffer.from(bytes).toString('utf8') : (this.#vocabulary.control(token) ?? '');
  }

  /** The token itself and the best in its place. Of tokens with the same text, such as parts of characters, the likeliest counts. */
  #best({ token, logprob, alternatives = [] }: LoggedToken): Record<string, number> | null {
    if (logprob === null) return null;
    const told = new Map<string, number>();
    for (const other of [...alternatives, { token, logprob }].sort((a, b) => b.logprob - a.logprob)) {
      const text = this.text(other.token);
      if (!told.has(text)) told.set(text, finite(other.logprob));
    }
    return Object.fromEntries(told);
  }

  #ranked({ alternatives, ...given }: RankedToken, most: number) {
    const others = alternatives
      .slice(0, most)
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

/** Id and log-probability of each place's most probable tokens. */
function placesOf({ each, tokens, logprobs }: Alternatives): [token: number, logprob: number][][] {
  return Array.from({ length: tokens.length / each }, (_, t) =>
    Array.from({ length: each }, (_, i) => [tokens[t * each + i], finite(logprobs[t * each + i])]),
  );
}

function finite(logprob: number): number {
  return Math.max(logprob, -9999);
}
